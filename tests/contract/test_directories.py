"""The contract of ``Directories``, in memory and on disk."""

import shutil
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.memory import MemoryDirectories
from tests.contract.directories_contract import DirectoriesContract


class TestMemoryDirectories(DirectoriesContract):
    @pytest.fixture
    def directories(self) -> MemoryDirectories:
        """Give an implementation without any snapshot."""
        return MemoryDirectories()

    @pytest.fixture
    def broken(self) -> MemoryDirectories:
        """Give an implementation whose medium takes no new directory."""
        directories = MemoryDirectories()
        directories.failure = "no space left"
        return directories


class TestDiskDirectories(DirectoriesContract):
    @pytest.fixture
    def directories(self, tmp_path: Path) -> DiskDirectories:
        """Give an implementation without any snapshot."""
        directories = DiskDirectories(str(tmp_path / "root"))
        directories.prepare()
        return directories

    @pytest.fixture
    def broken(self, directories: DiskDirectories, tmp_path: Path) -> DiskDirectories:
        """Give an implementation whose medium takes no new directory."""
        shutil.rmtree(tmp_path / "root" / "snapshots")
        shutil.rmtree(tmp_path / "root" / "l")
        return directories
