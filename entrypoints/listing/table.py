"""Snapshots in the columns of a table."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot

from ..recipe import in_bytes, moment

Paint: TypeAlias = Callable[[str, str], str]
"""Gives a text in a colour, by the number of ECMA-48's "Select Graphic Rendition"."""

REMOTE = "32"
LOCAL = "33"
LOCAL_SOURCE = "(local)"

_HEAD = ("ID", "SOURCE", "KIND", "SIZE", "CREATED")
_WORKING = "1"


def lines(snapshots: Sequence[Snapshot], names: Sequence[str], paint: Paint) -> list[str]:
    """Give a table with a line for each snapshot and one above them.

    Args:
        snapshots: the snapshots.
        names: what stands in the last column of each.
        paint: colours the cells, remote and local ones apart.
    """
    rows = [_cells(snapshot) for snapshot in snapshots]
    widths = [max(len(row[n]) for row in (_HEAD, *rows)) for n in range(len(_HEAD))]
    table = [f"{_padded(_HEAD, widths)}  SNAPSHOT"]
    for snapshot, row, name in zip(snapshots, rows, names, strict=True):
        colour = REMOTE if snapshot.remote else LOCAL
        shown = name if snapshot.kind is Kind.COMMITTED else paint(name, _WORKING)
        table.append(f"{paint(_padded(row, widths), colour)}  {shown}")
    return table


def _cells(snapshot: Snapshot) -> tuple[str, ...]:
    return (
        str(snapshot.identifier),
        snapshot.layer.source if snapshot.layer else LOCAL_SOURCE,
        snapshot.kind.value,
        in_bytes(snapshot.usage.size) if snapshot.usage else "-",
        moment(snapshot.created_at),
    )


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
