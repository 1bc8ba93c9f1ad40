"""The command ``import``."""

import argparse
import json
from typing import TYPE_CHECKING

from .failing import fail
from .flags import (
    DEFAULT_ROOT,
    Commands,
    add_address,
    add_config,
    add_json,
    add_patience,
    add_root,
)

if TYPE_CHECKING:
    from cvmfs_snapshotter.domain.importing import Imported, LeftOut

    from ..importing.planning import Planned

INCOMPLETE = 3
"""Exit status if something cannot be imported."""

DEFAULT_PATIENCE = 30.0

_EPILOG = f"""\
exit status:
  0  done; without --apply: everything can be imported
  1  not done, with the reason
  2  the flags or the configuration cannot be meant
  {INCOMPLETE}  something cannot be imported, and is named; nothing was done

The Go snapshotter must have been KILLED, not stopped: SIGTERM makes it delete the files of all
snapshots, those of running containers among them.

with systemd:
  mkdir -p /run/systemd/system/cvmfs-snapshotter.service.d
  cd /run/systemd/system/cvmfs-snapshotter.service.d
  printf '%s\\n' '[Service]' KillSignal=SIGKILL > kill.conf
  systemctl daemon-reload
  systemctl stop cvmfs-snapshotter

Running containers go on. Directories are renamed, and links are left at their old places, so that
--undo leads back until --confirm.

examples:
  cvmfs-snapshotter import --config /etc/cvmfs-snapshotter/config.toml
  cvmfs-snapshotter import --config /etc/cvmfs-snapshotter/config.toml --apply
  cvmfs-snapshotter import --undo
  cvmfs-snapshotter import --confirm
"""


def add_import(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "import",
        help="take over the state of the Go snapshotter, which containers outlive",
        description=(
            "Take over what the Go snapshotter has recorded: names, parents, labels, kinds, times "
            "and usage stay, so that containerd notices nothing. Nothing is changed without "
            "--apply, --undo or --confirm."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--from",
        dest="old",
        default=DEFAULT_ROOT,
        metavar="PATH",
        help="root directory of the Go snapshotter (default: %(default)s)",
    )
    add_root(parser)
    add_config(parser)
    add_address(parser)
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument(
        "--apply", action="store_true", help="do it, or go on where it was interrupted"
    )
    steps.add_argument(
        "--undo", action="store_true", help="give everything back to the Go snapshotter"
    )
    steps.add_argument(
        "--confirm",
        action="store_true",
        help="unmount and delete what is left of the Go snapshotter's state",
    )
    parser.add_argument(
        "--skip-missing",
        action="store_true",
        help="leave out what can never be imported, with all that stands on it",
    )
    parser.add_argument(
        "--discard",
        action="store_true",
        help="with --confirm: delete also what the Go snapshotter made after the import; with "
        "--undo: what this one made, also if its records cannot be read",
    )
    add_patience(parser, DEFAULT_PATIENCE)
    add_json(parser)
    parser.set_defaults(act=_import)
    return parser


def _import(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from ..errors import StartError  # noqa: PLC0415

    try:
        if arguments.confirm:
            return _confirm(arguments)
        if arguments.undo:
            return _undo(arguments)
        return _plan_or_apply(arguments)
    except StartError as error:
        return fail(str(error), 1)


def _plan_or_apply(arguments: argparse.Namespace) -> int:
    from cvmfs_snapshotter.adapters.logs.levels import LEVELS  # noqa: PLC0415
    from cvmfs_snapshotter.adapters.logs.logger import open_log  # noqa: PLC0415

    from ..config import ConfigError, load_config  # noqa: PLC0415
    from ..importing.applying import IncompleteError, apply  # noqa: PLC0415
    from ..importing.planning import Wanted, preview  # noqa: PLC0415

    try:
        config = load_config(arguments.config)
    except ConfigError as error:
        return fail(str(error), 2)
    wanted = Wanted(arguments.old, arguments.root, arguments.address, config, arguments.patience)
    log = open_log(LEVELS["error"])
    try:
        if not arguments.apply:
            planned = preview(wanted, log.logger)
            _show(planned, as_json=arguments.json)
            return INCOMPLETE if _in_the_way(planned, arguments) else 0
        done = apply(wanted, log.logger, skip_missing=arguments.skip_missing)
    except IncompleteError as error:
        _show(error.planned, as_json=arguments.json)
        return fail(str(error), INCOMPLETE)
    finally:
        log.flush()
    _say(
        arguments,
        {"imported": len(done.snapshots), "moved": len(done.directories), "from": done.base},
        f"imported {len(done.snapshots)} snapshots from {done.base}, moved "
        f"{len(done.directories)} directories\n"
        "start the daemon; then --confirm gives the old state up, or --undo leads back",
    )
    return 0


def _in_the_way(planned: "Planned", arguments: argparse.Namespace) -> bool:
    return any(not (arguments.skip_missing and one.final) for one in planned.plan.left_out)


def _undo(arguments: argparse.Namespace) -> int:
    from ..importing.ending import undo  # noqa: PLC0415 - would delay help

    done = undo(arguments.root, discard=arguments.discard)
    _say(
        arguments,
        {"given_back": len(done.directories), "to": done.base},
        f"gave {len(done.directories)} directories back to {done.base}",
    )
    return 0


def _confirm(arguments: argparse.Namespace) -> int:
    from ..importing.ending import confirm  # noqa: PLC0415 - would delay help

    done = confirm(arguments.root, discard=arguments.discard)
    left = f"; left there: {', '.join(done.left)}" if done.left else ""
    _say(
        arguments,
        {"from": done.base, "unmounted": done.unmounted, "left": list(done.left)},
        f"unmounted {done.unmounted} layers and deleted the old state in {done.base}{left}",
    )
    return 0


def _say(arguments: argparse.Namespace, plain: dict[str, object], text: str) -> None:
    print(json.dumps(plain, indent=2) if arguments.json else text)


def _show(planned: "Planned", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_plain(planned), indent=2))
        return
    plan = planned.plan
    print(f"from {planned.base} to {planned.root}:")
    for one in plan.imported:
        print(f"  {one.snapshot.identifier}  {_shown(one.snapshot.name)}: {_fate(one)}")
    if plan.left_out:
        print("cannot be imported:")
    for left in plan.left_out:
        print(f"  {left.record.identifier}  {_shown(left.record.name)}: {_why(left)}")
    if any(left.final for left in plan.left_out):
        print(
            "--skip-missing leaves them out: then remove the containers and images on them from "
            "containerd"
        )
    if planned.running:
        print(f"before --apply: {planned.running}")
    remote = sum(one.snapshot.remote for one in plan.imported)
    print(
        f"{len(plan.imported)} snapshots, {remote} of them on a source, "
        f"{len(plan.directories)} directories to move, {len(plan.left_out)} in the way"
    )


def _fate(one: "Imported") -> str:
    snapshot = one.snapshot
    if snapshot.layer is not None:
        companion = ", with a companion" if one.plan else ""
        return f"{snapshot.kind.value}, on source {snapshot.layer.source}{companion}"
    where = "directory is moved" if one.directory else "has no directory"
    return f"{snapshot.kind.value}, local, {where}"


def _why(left: "LeftOut") -> str:
    later = "" if left.final else "; mend that and try again"
    return f"{_shown(left.detail)} ({left.obstacle.value}){later}"


def _shown(text: str) -> str:
    from ..listing.escaping import printable  # noqa: PLC0415 - would delay help

    return printable(text)


def _plain(planned: "Planned") -> dict[str, object]:
    return {
        "from": planned.base,
        "root": planned.root,
        "running": planned.running or None,
        "imported": [
            {
                "identifier": one.snapshot.identifier,
                "name": one.snapshot.name,
                "kind": one.snapshot.kind.value,
                "parent": one.snapshot.parent or None,
                "source": one.snapshot.layer.source if one.snapshot.layer else None,
                "digest": str(one.snapshot.layer.digest) if one.snapshot.layer else None,
                "directory": one.directory,
            }
            for one in planned.plan.imported
        ],
        "left_out": [
            {
                "identifier": left.record.identifier,
                "name": left.record.name,
                "obstacle": left.obstacle.value,
                "detail": left.detail,
                "final": left.final,
            }
            for left in planned.plan.left_out
        ],
    }
