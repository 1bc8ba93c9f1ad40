"""Changes that are missing from a WAL, which SQLite itself would not notice."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.sqlite import DatabaseError, migrate
from cvmfs_snapshotter.adapters.sqlite.backup import back_up
from cvmfs_snapshotter.adapters.sqlite.wal_index import missing_frames

from .test_migrate import contents, leave_in_wal


def wal_of(database: Path) -> Path:
    """Give the path of the WAL."""
    return database.with_name(f"{database.name}-wal")


def index_of(database: Path) -> Path:
    """Give the path of its index."""
    return database.with_name(f"{database.name}-shm")


@pytest.fixture
def left(database: Path) -> Path:
    """Make a database as a killed daemon leaves it."""
    leave_in_wal(database, "INSERT INTO sources VALUES ('s', '/p')")
    return database


def test_a_whole_wal(left: Path) -> None:
    """What a killed daemon leaves has all of its pages."""
    assert 0 == missing_frames(left)


@pytest.mark.parametrize("lost", [1, 4000, 10**6])
def test_a_wal_that_was_cut_short(left: Path, lost: int) -> None:
    """The start is refused with the way on, and no byte of the files is changed."""
    size = wal_of(left).stat().st_size
    os.truncate(wal_of(left), max(0, size - lost))
    before = contents(left.parent)

    assert missing_frames(left) >= 1
    with pytest.raises(DatabaseError, match=r"was cut short.*Nothing was touched.*no backup"):
        migrate.prepare_database(left)
    assert before == contents(left.parent)


def test_a_wal_that_is_gone(left: Path) -> None:
    """The newest backup is named with the command that restores it."""
    backup = back_up(left, left.parent / "backups", "0001")
    leave_in_wal(left, "INSERT INTO sources VALUES ('t', '/p')")
    wal_of(left).unlink()

    with pytest.raises(DatabaseError, match=r"is missing.*db restore --root=\S+ " + str(backup)):
        migrate.prepare_database(left)


def test_the_loss_can_be_accepted(left: Path) -> None:
    """As the message says: without the index the rest is what there is."""
    os.truncate(wal_of(left), wal_of(left).stat().st_size - 1)
    index_of(left).unlink()
    migrate.prepare_database(left)

    with closing(sqlite3.connect(left)) as connection:
        assert [] == connection.execute("SELECT * FROM sources").fetchall()


def test_what_is_in_the_database_is_not_missing(left: Path) -> None:
    """A WAL that was written back can be taken away."""
    leave_in_wal(left, "PRAGMA wal_checkpoint(PASSIVE)")
    wal_of(left).unlink()

    assert 0 == missing_frames(left)


@pytest.mark.parametrize("content", [b"", b"\0" * 32768, b"\xab" * 32768])
def test_an_index_that_says_nothing(left: Path, content: bytes) -> None:
    """SQLite makes it anew, and so nothing is concluded from it."""
    index_of(left).write_bytes(content)

    assert 0 == missing_frames(left)


def test_an_index_of_an_earlier_wal(left: Path) -> None:
    """A power cut may take what was written to it last; then it says nothing about this WAL."""
    wal = left.with_name(f"{left.name}-wal")
    data = bytearray(wal.read_bytes()[:32])
    data[16:24] = bytes(8)
    wal.write_bytes(data)

    assert 0 == missing_frames(left)


def test_no_index(database: Path) -> None:
    """After an orderly end there is none."""
    assert 0 == missing_frames(database)


def test_an_index_that_cannot_be_read(left: Path) -> None:
    """The start is refused with the reason."""
    index_of(left).unlink()
    index_of(left).mkdir()
    with pytest.raises(DatabaseError, match="cannot be read: Is a directory"):
        migrate.prepare_database(left)
