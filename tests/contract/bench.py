"""Whole snapshotters to test: on memory or on disk, called directly or through a socket."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import structlog

from cvmfs_snapshotter.adapters.companions import DiskCompanions
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.memory import (
    MemoryClock,
    MemoryCompanions,
    MemoryDirectories,
    MemoryEvents,
    MemoryPatterns,
    MemorySources,
    MemoryStore,
)
from cvmfs_snapshotter.adapters.patterns import Re2Patterns
from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.mounts import Layout
from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter
from cvmfs_snapshotter.domain.ports.store import Store
from cvmfs_snapshotter.domain.snapshot import Snapshot
from cvmfs_snapshotter.domain.usecases.context import Context
from cvmfs_snapshotter.domain.usecases.snapshotter import LayerSnapshotter
from cvmfs_snapshotter.entrypoints.rpc.server import SnapshotServer

from .wire import WireSnapshotter


@attrs.frozen
class Bench:
    """A snapshotter and what lies around it.

    Attributes:
        snapshotter: to be tested.
        context: the ports behind it.
        sources: its sources, where layers can be published and faults made.
        events: what it noted.
        clock: its clock.
    """

    snapshotter: Snapshotter
    context: Context
    sources: MemorySources
    events: MemoryEvents
    clock: MemoryClock

    @property
    def store(self) -> Store:
        """Give its records."""
        return self.context.store

    def everything(self) -> tuple[list[Snapshot], list[int], list[int]]:
        """Give what a failing call must not change: snapshots, tombstones, what is on disk."""
        return (
            list(self.store.read(lambda r: r.page(Pins(), None, 10_000))),
            list(self.store.read(lambda r: r.tombstones(0, 10_000))),
            sorted([*self.context.directories.present(), *self.context.companions.present()]),
        )

    def record(self, name: str) -> Snapshot:
        """Give the record of a snapshot, identifier and layer included."""
        found = self.store.read(lambda r: r.get(name))
        assert found is not None
        return found


def _bench(store: Store, directories: MemoryDirectories | DiskDirectories, root: str) -> Bench:
    sources, events = MemorySources(), MemoryEvents()
    clock = MemoryClock()
    in_memory = isinstance(store, MemoryStore)
    companions = MemoryCompanions() if in_memory else DiskCompanions(Path(root))
    patterns = MemoryPatterns() if in_memory else Re2Patterns()
    context = Context(
        store, directories, companions, sources, clock, events, patterns, Layout(root)
    )
    return Bench(LayerSnapshotter(context), context, sources, events, clock)


@contextmanager
def in_memory() -> Iterator[Bench]:
    """Make one that needs neither root nor a disk."""
    yield _bench(MemoryStore(), MemoryDirectories(), "/root")


@contextmanager
def on_disk(new_database: Callable[[Path], Path]) -> Iterator[Bench]:
    """Make one on SQLite and real directories."""
    with tempfile.TemporaryDirectory() as name:
        directories = DiskDirectories(name)
        directories.prepare()
        store = open_store(new_database(Path(name)))
        try:
            yield _bench(store, directories, name)
        finally:
            store.close()


@contextmanager
def through_socket(bench: Bench) -> Iterator[Bench]:
    """Put a server and a client in front of one."""
    with ExitStack() as stack:
        socket = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "s"
        server = SnapshotServer(bench.snapshotter, structlog.get_logger())
        server.bind(str(socket))
        server.start()
        stack.callback(server.stop, 5.0)
        client = WireSnapshotter(socket)
        stack.callback(client.close)
        yield attrs.evolve(bench, snapshotter=client)
