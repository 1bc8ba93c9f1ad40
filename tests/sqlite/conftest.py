"""A database for the tests of its parts."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.sqlite import SqliteStore, open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database once, in a process of its own."""
    path = tmp_path_factory.mktemp("original") / "metadata.sqlite"
    prepare_database(path)
    return path


@pytest.fixture
def database(original: Path, tmp_path: Path) -> Path:
    """Make an empty database of the newest schema."""
    path = tmp_path / "metadata.sqlite"
    shutil.copy(original, path)
    return path


@pytest.fixture
def store(database: Path) -> Iterator[SqliteStore]:
    """Open the store in it."""
    store = open_store(database)
    yield store
    store.close()
