"""The command ``info``."""

import argparse
from typing import TYPE_CHECKING

from .failing import fail
from .flags import Commands, add_containerd_root, add_json, add_root, add_snapshotter, text

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPILOG = """\
exit status:
  0  shown
  1  there is no such snapshot, or the records cannot be read
  2  the flags cannot be meant

The records are read beside a running daemon, or without one. No source is looked at, so that
nothing hangs: `explain` tells what the sources say. Mounts of a committed snapshot are those of a
view of it.

examples:
  cvmfs-snapshotter info "$(crictl ps -q --latest)"
  cvmfs-snapshotter info 17
  cvmfs-snapshotter info 17 --json | jq -r '.mounts[0].options[]'
"""


def add_info(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "info",
        help="show everything about one snapshot",
        description=(
            "Show everything about one snapshot: parents, labels, paths, companion, usage, and "
            "the mounts that containerd gets."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_root(parser)
    add_containerd_root(parser)
    add_snapshotter(parser)
    add_json(parser)
    parser.add_argument(
        "key",
        type=text,
        metavar="KEY",
        help="key or name of a snapshot, ours or containerd's; identifier of a container; or the "
        "number of a directory in snapshots/",
    )
    parser.set_defaults(act=_info)
    return parser


def _info(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from ..listing.about import about  # noqa: PLC0415
    from ..listing.about_output import as_json, as_text  # noqa: PLC0415
    from .colours import coloured  # noqa: PLC0415

    remarks: list[str] = []
    found = about(arguments.root, arguments.key, lambda: _containerds_names(arguments, remarks))
    if found is None:
        return fail("\n".join((f"there is no snapshot {arguments.key!r}", *remarks)), 1)
    print(as_json(found) if arguments.json else as_text(found, coloured))
    return 0


def _containerds_names(arguments: argparse.Namespace, remarks: list[str]) -> "Sequence[str]":
    from pathlib import Path  # noqa: PLC0415

    from cvmfs_snapshotter.adapters.bolt import ContainerdError, read_records  # noqa: PLC0415

    from ..explain.snapshots import names_for  # noqa: PLC0415

    try:
        known = read_records(Path(arguments.containerd_root), arguments.snapshotter)
    except ContainerdError as error:
        remarks.append(f"containerd's records were not looked at: {error}")
        return ()
    return names_for(known, arguments.key)
