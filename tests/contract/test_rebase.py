"""Parents that come at Commit: in memory and on disk, called directly and through gRPC."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .bench import Bench, in_memory, on_disk, through_socket
from .rebase_contract import RebaseContract


class TestInMemory(RebaseContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        """Give one that needs neither root nor a disk."""
        with in_memory() as bench:
            yield bench


class TestOnDiskThroughGrpc(RebaseContract):
    @pytest.fixture
    def bench(self, new_database: Callable[[Path], Path]) -> Iterator[Bench]:
        """Give one on SQLite and real directories, behind a socket."""
        with on_disk(new_database) as bench, through_socket(bench) as remote:
            yield remote
