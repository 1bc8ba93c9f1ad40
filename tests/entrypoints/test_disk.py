"""How much room there is, measured."""

import os
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.disk import Disk, disk_of
from cvmfs_snapshotter.entrypoints.root import DATABASE


def test_records(tmp_path: Path) -> None:
    """The files that SQLite keeps beside the database count; the copies and the rest do not."""
    for name, size in (("", 4096), ("-wal", 700), ("-shm", 32), (".bak", 100_000)):
        (tmp_path / f"{DATABASE}{name}").write_bytes(b"x" * size)

    assert 4096 + 700 + 32 == disk_of(str(tmp_path)).records


def test_the_database_alone(tmp_path: Path) -> None:
    """A database without files beside it has a size too."""
    (tmp_path / DATABASE).write_bytes(b"x" * 10)

    assert 10 == disk_of(str(tmp_path)).records


def test_a_database_that_is_no_file(tmp_path: Path) -> None:
    """A link is not followed: what it leads to may be anywhere, and hang."""
    (tmp_path / "elsewhere").write_bytes(b"x" * 10)
    (tmp_path / DATABASE).symlink_to(tmp_path / "elsewhere")

    assert disk_of(str(tmp_path)).records is None


def test_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted in bytes, and what is kept back for root is not free."""
    answer = os.statvfs_result((4096, 512, 1000, 300, 200, 10, 10, 10, 0, 255))
    monkeypatch.setattr(os, "statvfs", {str(tmp_path): answer}.__getitem__)

    assert Disk(None, 200 * 512, 1000 * 512) == disk_of(str(tmp_path))


def test_what_is_not_there(tmp_path: Path) -> None:
    """Nothing is known of a directory that cannot be looked at, and that is no error."""
    assert Disk(None, None, None) == disk_of(str(tmp_path / "gone"))
