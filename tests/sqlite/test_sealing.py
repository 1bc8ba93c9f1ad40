"""One whole file is made of a database, or it is told why not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.sqlite import DatabaseError, open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.adapters.sqlite.sealing import seal
from cvmfs_snapshotter.domain.errors import ResourceExhaustedError
from tests.harness.disks import fill, small_disk


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Give a new database."""
    path = tmp_path / "d/metadata.sqlite"
    path.parent.mkdir()
    prepare_database(path)
    return path


def grow(path: Path) -> None:
    """Commit more than the file itself has room for."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE more AS SELECT zeroblob(1000000) AS bytes")


def test_a_whole_file(database: Path) -> None:
    """What was committed is in it, and nothing is beside it."""
    store = open_store(database)
    number = store.new_identifier()
    # Whoever is killed leaves the WAL.
    wal = database.with_name("metadata.sqlite-wal").read_bytes()
    file = database.read_bytes()
    store.close()
    database.write_bytes(file)
    database.with_name("metadata.sqlite-wal").write_bytes(wal)

    seal(database)
    assert [database] == list(database.parent.iterdir())
    store = open_store(database)
    assert number < store.new_identifier()
    store.close()


def test_a_full_disk(database: Path) -> None:
    """Closing says nothing of it; this does, and succeeds once there is room."""
    with small_disk(database.parent):
        store = open_store(database)
        grow(database)
        filler = fill(database.parent)
        store.close()
        with pytest.raises(ResourceExhaustedError, match="disk is full"):
            seal(database)
        filler.unlink()
        seal(database)
        assert [database] == list(database.parent.iterdir())
        assert database.stat().st_size > 1_000_000


def test_a_reader(database: Path) -> None:
    """What somebody still reads cannot be brought into the file."""
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM identifiers").fetchall()
        grow(database)
        with pytest.raises(DatabaseError, match="held by another process"):
            seal(database)


def test_a_damaged_one(database: Path) -> None:
    """A page that is something else is found."""
    pages = database.read_bytes()
    database.write_bytes(pages[:8192] + b"\xff" * (len(pages) - 8192))
    with pytest.raises((DatabaseError, ResourceExhaustedError), match="damaged"):
        seal(database)


def test_a_file_that_stays(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite may fail to delete what it does not need any more."""
    wal = database.with_name("metadata.sqlite-wal")
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path == wal or exists(path))
    with pytest.raises(DatabaseError, match=r"metadata\.sqlite-wal stayed beside it"):
        seal(database)
