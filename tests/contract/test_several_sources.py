"""Several sources, in memory and on disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .bench import Bench, in_memory, on_disk
from .sources_contract import SourcesContract


class TestInMemory(SourcesContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        """Give one that needs neither root nor a disk."""
        with in_memory() as bench:
            yield bench


class TestOnDisk(SourcesContract):
    @pytest.fixture
    def bench(self, new_database: Callable[[Path], Path]) -> Iterator[Bench]:
        """Give one on SQLite and real directories."""
        with on_disk(new_database) as bench:
            yield bench
