"""The command ``tree``."""

import argparse
import json
from typing import TYPE_CHECKING

from .failing import fail
from .flags import Commands
from .ls import FILTERS, add_filters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..listing.forest import Placed

_EPILOG = f"""\
{FILTERS}
A snapshot stands on the one above it in its column; where several stand on one, each begins a
branch. With --json the snapshots come in the same order, each with its depth: how many it stands
on.

exit status:
  0  there are such snapshots
  1  there is none, or the records cannot be read
  2  the flags or a filter cannot be meant

examples:
  cvmfs-snapshotter tree
  cvmfs-snapshotter tree kind==active
  cvmfs-snapshotter tree --json | jq '[.snapshots[].depth] | max'
"""


def add_tree(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "tree",
        help="show what each snapshot stands on",
        description=(
            "Show the chains of snapshots as trees: those that match, and all that they stand on."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_filters(parser)
    parser.set_defaults(act=_tree)
    return parser


def _tree(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from ..listing.forest import grown, with_chains  # noqa: PLC0415
    from ..listing.plain import plain  # noqa: PLC0415
    from ..listing.records import chosen, read_filter  # noqa: PLC0415

    wanted = read_filter(arguments.filters)
    everything = chosen(arguments.root, read_filter(()))
    names = [snapshot.name for snapshot in everything if wanted.matches(snapshot)]
    placed = list(grown(with_chains(everything, names)))
    if arguments.json:
        shown = [{**plain(one.snapshot), "depth": one.depth} for one in placed]
        print(json.dumps({"snapshots": shown}, indent=2))
    elif placed:
        print(*_drawn(placed), sep="\n")
    else:
        return fail("there is no such snapshot" if arguments.filters else "no snapshots", 1)
    return 0 if placed else 1


def _drawn(placed: "Sequence[Placed]") -> "Sequence[str]":
    from ..listing.escaping import printable  # noqa: PLC0415
    from ..listing.forest import ASCII, LINES, drawn  # noqa: PLC0415
    from ..listing.table import lines  # noqa: PLC0415
    from .colours import coloured  # noqa: PLC0415
    from .printing import can_show  # noqa: PLC0415

    strokes = LINES if can_show(f"{LINES.begin}{LINES.fork}{LINES.last}") else ASCII
    names = [drawn(one, strokes) + printable(one.snapshot.name) for one in placed]
    return lines([one.snapshot for one in placed], names, coloured)
