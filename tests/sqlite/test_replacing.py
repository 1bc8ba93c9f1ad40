"""One database in the place of another, whatever interrupts that."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.sqlite import DatabaseError, migrate
from cvmfs_snapshotter.adapters.sqlite.replacing import finish_restore, replace

from .test_migrate import leave_in_wal


def paths_in(path: Path) -> list[tuple[str, str]]:
    """Give what a database has recorded of sources, with its WAL."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT * FROM sources").fetchall()


@pytest.fixture
def new(database: Path) -> Path:
    """Make a database that is to take the place; the one that is there has a WAL."""
    new = database.with_name("new")
    new.write_bytes(database.read_bytes())
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        connection.execute("INSERT INTO sources VALUES ('new', '/p')")
    leave_in_wal(database, "INSERT INTO sources VALUES ('old', '/p')")
    return new


def test_both_are_whole(database: Path, new: Path) -> None:
    """The WAL goes with the database that it belongs to."""
    kept = replace(new, database)

    assert [("new", "/p")] == paths_in(database)
    assert [("old", "/p")] == paths_in(kept)
    assert not new.exists()


def test_nothing_in_the_place(database: Path, new: Path) -> None:
    """A database that was lost is replaced all the same."""
    for file in database.parent.glob(f"{database.name}*"):
        file.unlink()
    kept = replace(new, database)

    assert [("new", "/p")] == paths_in(database)
    assert not kept.exists()


@pytest.mark.parametrize("step", range(8))
def test_an_interruption_is_made_good(
    database: Path, new: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """After a crash at any step the next start has the one or the other, whole, and both kept."""
    steps = iter(range(100))
    plain: dict[str, Callable[..., object]] = {"rename": os.rename, "fsync": os.fsync}

    def tear(name: str) -> Callable[..., object]:
        def call(*args: object, **more: object) -> object:
            if next(steps) == step:
                raise KeyboardInterrupt
            return plain[name](*args, **more)

        return call

    for name in plain:
        monkeypatch.setattr(os, name, tear(name))
    with pytest.raises(KeyboardInterrupt):
        replace(new, database)
    monkeypatch.undo()
    migrate.prepare_database(database)

    if step < 2:
        assert [("old", "/p")] == paths_in(database)
        assert [("new", "/p")] == paths_in(new)
    else:
        (kept,) = (p for p in database.parent.glob("*.replaced-*") if p.suffix.endswith("Z"))
        assert [("new", "/p")] == paths_in(database)
        assert [("old", "/p")] == paths_in(kept)


def test_a_failure_is_told(database: Path, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be finished is finished by the next start."""
    plain = os.rename

    def fail(source: str | Path, target: str | Path, **more: int) -> None:
        if str(target) == str(database):
            raise OSError(5, "Input/output error")
        plain(source, target, **more)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(DatabaseError, match="Input/output error; the next start tries again"):
        replace(new, database)
    monkeypatch.undo()
    finish_restore(database)
    assert [("new", "/p")] == paths_in(database)


def test_a_new_one_that_cannot_be_put_there(database: Path, new: Path) -> None:
    """Without it nothing is touched."""
    new.unlink()
    with pytest.raises(DatabaseError, match="cannot be replaced: No such file"):
        replace(new, database)
    assert [("old", "/p")] == paths_in(database)
