"""What every implementation of the port ``Companions`` must do, in memory and on disk."""

import errno
import os
import stat
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.companions import DiskCompanions
from cvmfs_snapshotter.adapters.memory import MemoryCompanions
from cvmfs_snapshotter.domain.companions import Companion, Directory, Plan
from cvmfs_snapshotter.domain.errors import ResourceExhaustedError
from cvmfs_snapshotter.domain.ports.companions import Companions

ODD = b"new\nline \xff,:"
PLAN = Plan(
    above=(
        Directory(b"", 0o1777, 5, 6, 1_000_000_001),
        Directory(b"a", 0o2750, 7, 8, 2),
        Directory(b"a/" + ODD, 0, 0, 0, 3),
    ),
    hidden=(b"a/" + ODD + b"/.wh.x", b"a/.wh..wh..opq"),
    below=(
        Directory(b"", 0o755, 0, 0, 4),
        Directory(b"a", 0o755, 0, 0, 5),
        Directory(b"o", 0o700, 1, 1, 6),
    ),
    opaque=(b"o",),
    deleted=(b"a/" + ODD, b"n" * 251),
)


class CompanionsContract:
    """The rules of the port; a subclass gives the ``companions``."""

    def test_one_that_was_built_is_there(self, companions: Companions) -> None:
        """And is gone after it was removed, as often as that is asked."""
        companions.build(3, PLAN)
        companions.build(12, PLAN)
        assert {3, 12} == set(companions.present())
        companions.remove(3)
        companions.remove(3)
        companions.remove(99)
        assert {12} == set(companions.present())

    def test_one_that_is_gone_cannot_be_mended(self, companions: Companions) -> None:
        """One that is there can, as often as that is asked."""
        companions.build(3, PLAN)
        whole = Companion(3, above=True, below=True)

        assert [True, True] == [companions.mend(whole), companions.mend(whole)]
        assert companions.whole(whole)
        assert not companions.mend(Companion(4, above=False, below=True))
        companions.remove(3)
        assert not companions.mend(whole)
        assert not companions.whole(whole)


class TestMemoryCompanions(CompanionsContract):
    @pytest.fixture
    def companions(self) -> Companions:
        """Give those in memory."""
        return MemoryCompanions()


class TestDiskCompanions(CompanionsContract):
    @pytest.fixture
    def companions(self, root: Path) -> Companions:
        """Give those on disk."""
        return DiskCompanions(root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make the directories that companions lie in."""
    for name in ("companions", "l"):
        (tmp_path / name).mkdir(mode=0o700)
    return tmp_path


def test_a_companion_is_what_was_planned(root: Path) -> None:
    """Devices, opaque directories, and modes, owners and times of directories."""
    before = os.umask(0o077)
    try:
        DiskCompanions(root).build(7, PLAN)
    finally:
        os.umask(before)
    above, below = os.fsencode(root / "l/7a"), os.fsencode(root / "l/7b")

    for side, directories in ((above, PLAN.above), (below, PLAN.below)):
        for directory in directories:
            found = os.stat(side + b"/" + directory.path)  # noqa: PTH116 - names need not be text
            assert directory == Directory(
                directory.path,
                stat.S_IMODE(found.st_mode),
                found.st_uid,
                found.st_gid,
                found.st_mtime_ns,
            )
    for side, names in ((above, PLAN.hidden), (below, PLAN.deleted)):
        for name in names:
            found = os.lstat(side + b"/" + name)
            assert stat.S_ISCHR(found.st_mode)
            assert 0 == found.st_rdev
    assert b"y" == os.getxattr(below + b"/o", "trusted.overlay.opaque")
    with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
        os.getxattr(below + b"/a", "trusted.overlay.opaque")


def test_a_side_that_is_not_planned_is_not_made(root: Path) -> None:
    """A link to nothing would break the mount."""
    DiskCompanions(root).build(7, Plan(above=PLAN.above))

    assert ["7a"] == sorted(p.name for p in (root / "l").iterdir())
    assert ["above"] == sorted(p.name for p in (root / "companions/7").iterdir())


@pytest.mark.parametrize("step", ["mkdir", "mknod", "setxattr", "fchmod", "utime", "rename"])
def test_a_failure_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whatever cannot be done, the caller hears of it and nothing is there afterwards."""

    def fail(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(ResourceExhaustedError, match=r"companion 7 could not be made.*No space"):
        DiskCompanions(root).build(7, PLAN)
    monkeypatch.undo()

    assert [] == [*(root / "l").iterdir(), *(root / "companions").iterdir()]


def test_what_a_crash_left_is_seen_and_removed(root: Path) -> None:
    """Half-made ones and links of their own count as present, so that they are deleted."""
    (root / "companions/.new-4/above").mkdir(parents=True)
    (root / "companions/5/below").mkdir(parents=True)
    (root / "l/6a").symlink_to("../companions/6/above")
    (root / "companions/shared").mkdir()
    for name in ("s", "17"):
        (root / "l" / name).symlink_to("somewhere")
    companions = DiskCompanions(root)

    assert {4, 5, 6} == set(companions.present())
    for number in (4, 5, 6):
        companions.remove(number)
    assert set() == set(companions.present())
    assert {"shared"} == {p.name for p in (root / "companions").iterdir()}
    assert {"s", "17"} == {p.name for p in (root / "l").iterdir()}


def test_a_number_that_a_crash_used_is_built_anew(root: Path) -> None:
    """Leftovers of the same number do not spoil it."""
    (root / "companions/.new-7/above/x").mkdir(parents=True)
    (root / "l/7a").symlink_to("nowhere")
    DiskCompanions(root).build(7, PLAN)

    assert (root / "l/7a" / "a").is_dir()
    assert not (root / "companions/7/above/x").exists()


def test_one_that_cannot_be_removed_is_reported(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays for the next Cleanup."""
    companions = DiskCompanions(root)
    companions.build(7, PLAN)

    def fail(*_args: object, **_more: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(os, "rmdir", fail)
    with pytest.raises(ResourceExhaustedError, match="companion 7 could not be deleted"):
        companions.remove(7)
    monkeypatch.undo()
    assert {7} == set(companions.present())


@pytest.mark.parametrize("damage", ["lost", "wrong"])
def test_links_are_mended(root: Path, damage: str) -> None:
    """A link that is lost or leads elsewhere is made anew, and none that was never planned."""
    companions = DiskCompanions(root)
    companions.build(7, Plan(below=PLAN.below))
    (root / "l/7b").unlink()
    if damage == "wrong":
        (root / "l/7b").symlink_to("elsewhere")

    companion = Companion(7, above=False, below=True)
    assert not companions.whole(companion)
    assert companions.mend(companion)
    assert companions.whole(companion)
    assert ["7b"] == [path.name for path in (root / "l").iterdir()]
    assert "../companions/7/below" == str((root / "l/7b").readlink())


def test_half_a_companion_cannot_be_mended(root: Path) -> None:
    """With one side alone a container would see what its image deletes."""
    companions = DiskCompanions(root)
    companions.build(7, Plan(above=PLAN.above))

    assert not companions.mend(Companion(7, above=True, below=True))


def test_a_link_that_cannot_be_mended_is_reported(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing half made is left."""
    companions = DiskCompanions(root)
    companions.build(7, PLAN)
    (root / "l/7b").unlink()

    def fail(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(ResourceExhaustedError, match="7b cannot be made: No space"):
        companions.mend(Companion(7, above=True, below=True))
    assert ["7a"] == [path.name for path in (root / "l").iterdir()]
