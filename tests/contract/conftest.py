"""Databases for the contract suites."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Make empty databases in directories: migrated once, then copied."""
    first = tmp_path_factory.mktemp("database") / "metadata.sqlite"
    prepare_database(first)

    def make(directory: Path) -> Path:
        path = directory / first.name
        shutil.copyfile(first, path)
        return path

    return make
