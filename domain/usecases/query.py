"""Stat, List and Usage: they read records, and never a source."""

from collections.abc import Iterator, Sequence

from ..filters import Filter, Pins, parse
from ..ports.store import Position
from ..snapshot import NOTHING_LOCAL, Kind, Snapshot, Usage
from .base import existing, require_name
from .context import Context

BATCH = 100
"""Snapshots in one answer of a List, as in containerd's own service."""


def stat(context: Context, key: str) -> Snapshot:
    """Give a record; see ``Snapshotter.stat``."""
    require_name("key", key)
    return context.store.read(lambda r: existing(r, key))


def list_snapshots(context: Context, filters: Sequence[str]) -> Iterator[Sequence[Snapshot]]:
    """List records; see ``Snapshotter.list``."""
    return _batches(context, parse(filters, context.patterns))


def _batches(context: Context, chosen: Filter) -> Iterator[Sequence[Snapshot]]:
    pins = chosen.pins
    after: Position | None = None
    batch: list[Snapshot] = []
    while page := _page(context, pins, after):
        after = Position.of(page[-1])
        batch += [snapshot for snapshot in page if chosen.matches(snapshot)]
        last = len(page) < BATCH or pins.name is not None
        if len(batch) >= BATCH:
            yield batch[:BATCH]
            del batch[:BATCH]
        elif not last:
            # A filter that matches little would search for long without a sign of life.
            yield ()
        if last:
            break
    if batch:
        yield batch


def _page(context: Context, pins: Pins, after: Position | None) -> Sequence[Snapshot]:
    return context.store.read(lambda r: r.page(pins, after, BATCH))


def usage(context: Context, key: str) -> Usage:
    """Tell what a snapshot takes on disk; see ``Snapshotter.usage``.

    A directory is counted outside any transaction, and only where no count is recorded.
    """
    require_name("key", key)
    snapshot = context.store.read(lambda r: existing(r, key))
    if snapshot.usage is not None:
        return snapshot.usage
    if snapshot.kind is Kind.VIEW:
        return NOTHING_LOCAL
    return context.directories.usage(snapshot.identifier)
