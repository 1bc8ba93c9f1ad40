"""Snapshots, read from the records beside a daemon or without one."""

from collections.abc import Iterator, Sequence

from cvmfs_snapshotter.adapters.patterns import Re2Patterns
from cvmfs_snapshotter.domain.errors import InvalidArgumentError
from cvmfs_snapshotter.domain.filters import Filter, Pins, parse
from cvmfs_snapshotter.domain.ports.store import Position, Records
from cvmfs_snapshotter.domain.snapshot import Snapshot

from .. import databases
from ..errors import MeaninglessError

_PAGE = 1000


def read_filter(texts: Sequence[str]) -> Filter:
    """Read filters in containerd's language, one of which must match.

    Args:
        texts: the filters; none matches everything.

    Raises:
        MeaninglessError: one is malformed, and the message shows where.
    """
    try:
        return parse(texts, Re2Patterns())
    except InvalidArgumentError as error:
        raise MeaninglessError(str(error)) from error


def chosen(root: str, wanted: Filter) -> list[Snapshot]:
    """Give the snapshots that a filter chooses.

    Args:
        root: the state directory.
        wanted: the filter.

    Returns:
        The snapshots, remote ones first, each part by identifier: the order of a List.

    Raises:
        StartError: the records cannot be read.
    """
    found = databases.read(root, lambda records: list(pages(records, wanted.pins)))
    return [snapshot for snapshot in found if wanted.matches(snapshot)]


def pages(records: Records, pins: Pins) -> Iterator[Snapshot]:
    """Give every snapshot that has what is pinned, in the order of ``Position``.

    Args:
        records: the records.
        pins: what they must have.
    """
    after: Position | None = None
    while page := records.page(pins, after, _PAGE):
        yield from page
        if len(page) < _PAGE:
            return
        after = Position.of(page[-1])
