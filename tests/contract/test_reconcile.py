"""The contract of the comparison, in memory and on disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .bench import Bench, in_memory, on_disk
from .reconcile_contract import ReconcileContract


class TestInMemory(ReconcileContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        """Give one that needs neither root nor a disk."""
        with in_memory() as bench:
            yield bench


class TestOnDisk(ReconcileContract):
    @pytest.fixture
    def bench(self, new_database: Callable[[Path], Path]) -> Iterator[Bench]:
        """Give one on SQLite and real directories."""
        with on_disk(new_database) as bench:
            yield bench
