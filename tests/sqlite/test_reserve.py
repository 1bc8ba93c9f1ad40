"""Space that is set aside."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from cvmfs_snapshotter.adapters.sqlite import SqliteStore, open_store
from cvmfs_snapshotter.adapters.sqlite.reserve import FILE_BYTES, FILES, Reserve
from cvmfs_snapshotter.domain.errors import ResourceExhaustedError
from cvmfs_snapshotter.domain.ports.store import Transaction


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Give where it is."""
    return tmp_path / "reserve"


def sizes(directory: Path) -> list[int]:
    """Give the space that each file takes."""
    return [path.stat().st_blocks * 512 for path in directory.iterdir()]


def test_it_takes_space(directory: Path) -> None:
    """Not only names: what is given up is there for others."""
    assert Reserve(directory).make()
    assert FILES == len(sizes(directory))
    assert min(sizes(directory)) >= FILE_BYTES
    assert {0o600} == {path.stat().st_mode & 0o777 for path in directory.iterdir()}


def test_it_is_given_up_piece_by_piece(directory: Path) -> None:
    """What is not needed stays, and at last there is nothing."""
    reserve = Reserve(directory)
    reserve.make()

    given = [reserve.give_up_some() for _ in range(FILES + 1)]
    assert [True] * FILES + [False] == given
    assert [] == list(directory.iterdir())
    assert reserve.make()
    assert FILES == len(sizes(directory))


def test_what_is_there_is_taken_over(directory: Path) -> None:
    """A later process makes nothing twice, and fills holes that a copy has left."""
    Reserve(directory).make()
    whole, hollow = sorted(directory.iterdir())[:2]
    before = whole.stat().st_ino
    os.truncate(hollow, 0)
    os.truncate(hollow, FILE_BYTES)
    assert Reserve(directory).make()

    assert before == whole.stat().st_ino
    assert min(sizes(directory)) >= FILE_BYTES


def test_it_does_not_fill_a_disk(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little space is for others; only a daemon that ends takes the last of it."""
    little = SimpleNamespace(f_bfree=3 * FILES * FILE_BYTES // 2, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda _: little)
    reserve = Reserve(directory)

    assert not reserve.make()
    assert not directory.exists()
    reserve.make_of_the_last()
    assert FILES == len(sizes(directory))


def test_a_file_is_whole_or_not_there(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When space runs out under way, what is whole stays."""
    plain = os.posix_fallocate
    made: list[int] = []

    def allocate(descriptor: int, start: int, length: int) -> None:
        made.append(descriptor)
        if len(made) == 2:
            raise OSError(28, "No space left on device")
        plain(descriptor, start, length)

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    assert not Reserve(directory).make()
    assert 1 == len(sizes(directory))


def full_once(store: SqliteStore, database: Path) -> None:
    """Leave no page in a database; the limit is SQLite's own and stands for a full disk."""
    connection = store._writer.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")


def grow(transaction: Transaction) -> None:
    """Need pages."""
    transaction.keep_source_path("big", "x" * 100_000)


@pytest.mark.parametrize("frees", [False, True])
def test_only_what_frees_gets_it(
    database: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, *, frees: bool
) -> None:
    """Others are refused while it is there; what frees goes on as long as there is some."""
    reserve = Reserve(directory)
    reserve.make()
    store = open_store(database, reserve)
    full_once(store, database)
    left: list[int] = []
    plain = Reserve.give_up_some

    def give_up(self: Reserve) -> bool:
        left.append(len(list(directory.iterdir())))
        if len(left) == 3:
            store._writer.connection.execute("PRAGMA max_page_count=1000000")
        return plain(self)

    monkeypatch.setattr(Reserve, "give_up_some", give_up)
    try:
        if frees:
            store.write(grow, frees=True)
            assert [4, 3, 2] == left
            # There is space again.
            assert FILES == len(sizes(directory))
        else:
            with pytest.raises(ResourceExhaustedError, match="disk is full"):
                store.write(grow)
            assert [] == left
    finally:
        store.close()


def test_when_nothing_is_left(database: Path, directory: Path) -> None:
    """It is refused like anything else, and nothing is changed."""
    store = open_store(database, Reserve(directory))
    full_once(store, database)
    try:
        with pytest.raises(ResourceExhaustedError, match="disk is full"):
            store.write(grow, frees=True)
        assert {} == store.read(lambda r: r.source_paths())
    finally:
        store.close()
