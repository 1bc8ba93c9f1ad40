"""The contract of the store, on both of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.memory import MemoryStore
from cvmfs_snapshotter.adapters.metrics.naming import new_registry
from cvmfs_snapshotter.adapters.metrics.store import TimedStore
from cvmfs_snapshotter.adapters.sqlite import SqliteStore, open_store
from cvmfs_snapshotter.adapters.tracing.store import TracedStore
from cvmfs_snapshotter.domain.ports.store import Store
from tests.tracing.recording import Recording

from .store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        """Give the store in memory."""
        return MemoryStore()


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path, new_database: Callable[[Path], Path]) -> Iterator[SqliteStore]:
        """Give the store on a database of its own."""
        store = open_store(new_database(tmp_path))
        yield store
        store.close()


class TestTimedStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        """Give a store whose time is taken."""
        return TimedStore(MemoryStore(), new_registry())


class TestTracedStore(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """Give a store whose transactions are shown, in a call that is recorded."""
        recording = Recording()
        with recording.call():
            yield TracedStore(MemoryStore(), recording.inner)
