"""Directories and links of recorded snapshots that are made again on disk."""

import errno
import os
import stat
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.domain.errors import ResourceExhaustedError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root directory that has been prepared."""
    DiskDirectories(str(tmp_path / "root")).prepare()
    return tmp_path / "root"


@pytest.fixture
def directories(root: Path) -> DiskDirectories:
    """Give the directories under the root."""
    return DiskDirectories(str(root))


def tree(root: Path) -> dict[str, tuple[int, int, int, str]]:
    """Describe all that belongs to snapshots: mode, owner, and where links lead to."""
    found = {}
    for name in ("snapshots", "l"):
        for path in sorted((root / name).rglob("*")):
            about = path.lstat()
            target = str(path.readlink()) if path.is_symlink() else ""
            mode = stat.S_IMODE(about.st_mode) if not target else 0
            found[str(path.relative_to(root))] = (mode, about.st_uid, about.st_gid, target)
    return found


@pytest.mark.parametrize("lost", ["snapshots/7", "snapshots/7/fs", "snapshots/7/work", "nothing"])
@pytest.mark.parametrize("mask", [0o000, 0o177])
def test_an_active_snapshot_comes_back_as_it_was(
    root: Path, directories: DiskDirectories, lost: str, mask: int
) -> None:
    """Whichever part is lost, modes and owners are those of a new one, whatever the umask is."""
    directories.create_active(7, (1000, 2000))
    before = tree(root)
    for path in sorted((root / lost).rglob("*"), reverse=True):
        path.rmdir()
    if lost != "nothing":
        (root / lost).rmdir()
    old = os.umask(mask)
    try:
        assert lost.startswith("snapshots") == directories.mend_active(7, (1000, 2000))
    finally:
        os.umask(old)

    assert before == tree(root)


def test_an_empty_view_comes_back_as_it_was(root: Path, directories: DiskDirectories) -> None:
    """With its mode and owner, and without a work directory."""
    directories.create_empty(7)
    before = tree(root)
    directories.remove(7)

    assert directories.mend_empty(7)
    assert before == tree(root)


def test_what_is_there_stays(root: Path, directories: DiskDirectories) -> None:
    """Files, and what a container has made of the root of its tree."""
    directories.create_active(7, (0, 0))
    files = root / "snapshots/7/fs"
    (files / "kept").write_text("kept")
    files.chmod(0o1777)
    (root / "snapshots/7/work").rmdir()

    assert directories.mend_active(7, (5, 5))
    assert "kept" == (files / "kept").read_text()
    assert (0o1777, 0) == (stat.S_IMODE(files.stat().st_mode), files.stat().st_uid)


@pytest.mark.parametrize("step", ["mkdir", "chown", "chmod", "rename"])
def test_a_failure_leaves_nothing_half_made(
    root: Path, directories: DiskDirectories, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The caller hears of it, and the next one finds it missing still."""
    directories.create_active(7, (0, 0))
    before = tree(root)
    (root / "snapshots/7/fs").rmdir()

    def fail(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(ResourceExhaustedError, match="made again: No space"):
        directories.mend_active(7, (0, 0))
    monkeypatch.undo()
    del before["snapshots/7/fs"]
    assert before == tree(root)


def test_a_file_in_its_place_is_reported(root: Path, directories: DiskDirectories) -> None:
    """It is nobody's to delete."""
    directories.create_active(7, (0, 0))
    (root / "snapshots/7/fs").rmdir()
    (root / "snapshots/7/fs").write_text("mine")

    with pytest.raises(ResourceExhaustedError, match="made again"):
        directories.mend_active(7, (0, 0))
    assert "mine" == (root / "snapshots/7/fs").read_text()


@pytest.mark.parametrize("content", ["file", "directory", "link"])
def test_a_directory_with_anything_in_it_is_not_empty(
    root: Path, directories: DiskDirectories, content: str
) -> None:
    """Whatever it is; the work directory beside does not count."""
    directories.create_active(7, (0, 0))
    (root / "snapshots/7/work/work").mkdir()
    assert directories.is_empty(7)
    inside = root / "snapshots/7/fs/inside"
    match content:
        case "file":
            inside.touch()
        case "directory":
            inside.mkdir()
        case _:
            inside.symlink_to("nowhere")

    assert not directories.is_empty(7)


def test_files_behind_a_link_are_none(root: Path, directories: DiskDirectories) -> None:
    """A mount would follow it to wherever it leads."""
    directories.create_active(7, (0, 0))
    (root / "snapshots/7/fs").rmdir()
    (root / "snapshots/7/fs").symlink_to("/")

    assert [7] == directories.without_files((7,))


def test_removals_are_synced(
    root: Path, directories: DiskDirectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both directories in which names of snapshots are."""
    synced: list[Path] = []

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", note)
    directories.settle()

    assert [root / "snapshots", root / "l"] == synced


def test_a_disk_that_cannot_sync_is_reported(
    directories: DiskDirectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nothing may be forgotten yet."""

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ResourceExhaustedError, match=r"snapshots cannot be made durable: Input"):
        directories.settle()
