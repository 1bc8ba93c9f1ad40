"""The command ``ls``."""

import argparse
import json

from .failing import fail
from .flags import Commands, add_json, add_root, text

FILTERS = """\
A filter is one of containerd's: field==value, field!=value or field~=pattern, several with commas
between them, all of which must match; of several filters one must. Fields are name, parent, kind
(view, active, committed) and labels."<key>".
"""

_EPILOG = f"""\
{FILTERS}
exit status:
  0  there are such snapshots
  1  there is none, or the records cannot be read
  2  the flags or a filter cannot be meant

The records are read beside a running daemon, or without one; nothing is changed. With --json,
remote snapshots have a source and the digest of their layer, local ones null.

examples:
  cvmfs-snapshotter ls
  cvmfs-snapshotter ls kind==active 'name~=/^k8s/'
  cvmfs-snapshotter ls 'labels."containerd.io/snapshot/cvmfs.layer"'
  cvmfs-snapshotter ls --json | jq -r '.snapshots[] | select(.source == null) | .name'
"""


def add_ls(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "ls",
        help="list the snapshots",
        description=(
            "List the snapshots, those on a source first. Names of active ones and views are bold."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_filters(parser)
    parser.set_defaults(act=_ls)
    return parser


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add ``--root``, ``--json`` and filters."""
    add_root(parser)
    add_json(parser)
    parser.add_argument(
        "filters", type=text, metavar="FILTER", nargs="*", help="which snapshots (default: all)"
    )


def _ls(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from ..listing.escaping import printable  # noqa: PLC0415
    from ..listing.plain import plain_list  # noqa: PLC0415
    from ..listing.records import chosen, read_filter  # noqa: PLC0415
    from ..listing.table import lines  # noqa: PLC0415
    from .colours import coloured  # noqa: PLC0415

    snapshots = chosen(arguments.root, read_filter(arguments.filters))
    if arguments.json:
        print(json.dumps(plain_list(snapshots), indent=2))
    elif snapshots:
        print(*lines(snapshots, [printable(s.name) for s in snapshots], coloured), sep="\n")
    else:
        return fail("there is no such snapshot" if arguments.filters else "no snapshots", 1)
    return 0 if snapshots else 1
