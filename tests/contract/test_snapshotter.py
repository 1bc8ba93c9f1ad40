"""The contract of the snapshotter: on memory and on disk, called directly and through gRPC."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .bench import Bench, in_memory, on_disk, through_socket
from .cleanup_contract import CleanupContract
from .links_contract import LinksContract
from .snapshotter_contract import SnapshotterContract


class TestInMemory(SnapshotterContract, CleanupContract, LinksContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        """Give one that needs neither root nor a disk."""
        with in_memory() as bench:
            yield bench


class TestInMemoryThroughGrpc(SnapshotterContract, CleanupContract, LinksContract):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        """Give one that needs neither root nor a disk, behind a socket."""
        with in_memory() as bench, through_socket(bench) as remote:
            yield remote


class TestOnDisk(SnapshotterContract, CleanupContract, LinksContract):
    @pytest.fixture
    def bench(self, new_database: Callable[[Path], Path]) -> Iterator[Bench]:
        """Give one on SQLite and real directories."""
        with on_disk(new_database) as bench:
            yield bench


class TestOnDiskThroughGrpc(SnapshotterContract, CleanupContract, LinksContract):
    @pytest.fixture
    def bench(self, new_database: Callable[[Path], Path]) -> Iterator[Bench]:
        """Give one on SQLite and real directories, behind a socket."""
        with on_disk(new_database) as bench, through_socket(bench) as remote:
            yield remote
