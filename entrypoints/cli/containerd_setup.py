"""The command ``containerd-setup``."""

import argparse
import json
import os
from typing import TYPE_CHECKING

from ..errors import MeaninglessError
from .failing import fail
from .flags import Commands, add_address, add_json, add_root

if TYPE_CHECKING:
    from pathlib import Path

    from ..containerd_config.releases import Pull
    from ..containerd_config.wanted import Wanted
    from ..containerd_setup.setting_up import Plan

_RELEASES = ("1.6", "1.7", "2.0", "2.1", "2.2", "2.3", "2.4")
_PULLS = ("local", "transfer")
_DEFAULT = "/etc/containerd/config.toml"
_WOULD_CHANGE = 3

_EPILOG = """\
exit status:
  0  the file is as it should be, or was changed
  1  the file is not changed: the message says why, and what to do
  2  the flags cannot be meant
  3  without --apply: the file would be changed

examples:
  cvmfs-snapshotter containerd-setup
  cvmfs-snapshotter containerd-setup --apply && systemctl restart containerd
  cvmfs-snapshotter containerd-setup --uninstall --apply
  cvmfs-snapshotter containerd-setup --json | jq -r .difference
  cvmfs-snapshotter containerd-setup --for 2.2 --drop-in /etc/containerd/conf.d/cvmfs.toml
"""


def add_containerd_setup(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "containerd-setup",
        help="write our lines into containerd's configuration, or take them out",
        description=(
            "Write the lines that containerd needs into its configuration, between marks, so that "
            "--uninstall brings the file back byte for byte. Nothing is changed without --apply: "
            "the difference is printed. The outcome is checked as containerd-config --check does, "
            "and with --apply by containerd itself, before it takes the file's place. A file that "
            "is not understood, or would not do, is left as it is. containerd is not restarted."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        default=_DEFAULT,
        metavar="FILE",
        help="the file that containerd reads, or a template of k3s or rke2 that is to be one "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--drop-in",
        metavar="FILE",
        help="write to this file, which the other one imports; for 2.0 and later",
    )
    parser.add_argument(
        "--for",
        dest="release",
        choices=_RELEASES,
        metavar="VERSION",
        help=f"release of containerd: {', '.join(_RELEASES)} (default: what --containerd says)",
    )
    parser.add_argument(
        "--containerd",
        default="containerd",
        metavar="PATH",
        help="the program; where there is none, --for is needed, and nobody but us checks the "
        "outcome (default: %(default)s)",
    )
    parser.add_argument(
        "--pull",
        choices=_PULLS,
        default="local",
        metavar="HOW",
        help="how the CRI pulls images: local, or transfer, for the transfer service of 2.1 and "
        "later (default: %(default)s)",
    )
    add_address(parser)
    add_root(parser)
    parser.add_argument("--uninstall", action="store_true", help="take our lines out again")
    parser.add_argument("--apply", action="store_true", help="change the file")
    add_json(parser)
    parser.set_defaults(act=_run)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from ..containerd_setup.errors import RefusedError  # noqa: PLC0415

    path = arguments.drop_in or arguments.config
    try:
        return _remove(arguments, path) if arguments.uninstall else _set_up(arguments, path)
    except RefusedError as error:
        return fail(f"{path} is left as it is: {error}", 1)
    except OSError as error:
        return fail(f"{error.filename or path}: {error.strerror}", 1)


def _set_up(arguments: argparse.Namespace, path: str) -> int:
    from ..containerd_config.releases import Pull  # noqa: PLC0415
    from ..containerd_config.snippet import refuse_pull  # noqa: PLC0415
    from ..containerd_setup.judging import find_containerd  # noqa: PLC0415
    from ..containerd_setup.setting_up import carry_out, plan_setup  # noqa: PLC0415

    program = find_containerd(arguments.containerd)
    pull = Pull(arguments.pull)
    wanted = _wanted(arguments, program, pull)
    refuse_pull(wanted.release, pull)
    if arguments.drop_in and not wanted.release.images_plugin:
        raise MeaninglessError(
            f"--drop-in: containerd {wanted.release.name} replaces the whole section of the CRI "
            "by that of an imported file; edit the file itself"
        )
    plan = plan_setup(path, arguments.config, wanted, pull)
    name = wanted.release.name
    applied = plan.changes and arguments.apply
    copy = carry_out(plan, wanted, program) if applied else None
    if arguments.json:
        print(_as_json(plan, name, copy, applied=applied, tried=applied and bool(program)))
    elif not applied:
        _show(plan, f"our lines for {name} are there")
    else:
        print(f"{plan.path}: has our lines for containerd {name} now")
        if copy is not None:
            print(f"{copy}: the file as it was")
        if not program:
            print("no containerd was found to try it: only our own check was made")
        _tell_to_restart(plan)
    return _status(plan, applied=applied)


def _remove(arguments: argparse.Namespace, path: str) -> int:
    from ..containerd_setup.setting_up import carry_out, plan_removal  # noqa: PLC0415

    plan = plan_removal(path, arguments.config)
    applied = plan.changes and arguments.apply
    if applied:
        carry_out(plan)
    if arguments.json:
        print(_as_json(plan, None, None, applied=applied, tried=False))
    elif not applied:
        _show(plan, "our lines are not there")
    else:
        done = "is gone, as before" if plan.after is None else "is as it was without our lines"
        print(f"{plan.path}: {done}")
        _tell_to_restart(plan)
    return _status(plan, applied=applied)


def _status(plan: "Plan", *, applied: bool) -> int:
    return _WOULD_CHANGE if plan.changes and not applied else 0


def _as_json(
    plan: "Plan", release: str | None, copy: "Path | None", *, applied: bool, tried: bool
) -> str:
    return json.dumps(
        {
            "file": str(plan.path),
            "release": release,
            "changes": plan.changes,
            "applied": applied,
            "tried": tried,
            "copy": None if copy is None else str(copy),
            "difference": plan.difference() if plan.changes else None,
        },
        indent=2,
    )


def _show(plan: "Plan", as_it_is: str) -> None:
    if not plan.changes:
        print(f"{plan.path}: nothing to do, {as_it_is}")
        return
    print(plan.difference(), end="")
    print("not changed; --apply does it")


def _tell_to_restart(plan: "Plan") -> None:
    template = plan.path.suffix == ".tmpl"
    print(f"restart {'k3s or rke2' if template else 'containerd'} to make it count")


def _wanted(arguments: argparse.Namespace, program: str, pull: "Pull") -> "Wanted":
    from ..containerd_config.platforms import machine_platform  # noqa: PLC0415
    from ..containerd_config.releases import RELEASES  # noqa: PLC0415
    from ..containerd_config.wanted import Wanted  # noqa: PLC0415
    from ..containerd_setup.judging import release_of  # noqa: PLC0415

    for name in ("address", "root", "config", "drop_in"):
        path: str | None = getattr(arguments, name)
        if path is not None and (not path.startswith("/") or not path.isprintable()):
            flag = name.replace("_", "-")
            raise MeaninglessError(f"--{flag} {path!r}: an absolute path is needed")
    if arguments.release:
        release = RELEASES[arguments.release]
    elif program:
        release = release_of(program)
    else:
        raise MeaninglessError(
            f"there is no {arguments.containerd!r} to ask for its release: give --for, or "
            "--containerd with the path of the program"
        )
    platform = machine_platform(os.uname().machine)
    return Wanted(release, arguments.address, arguments.root, platform, pull)
