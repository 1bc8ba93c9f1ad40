import os
import stat
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.errors import StartError
from cvmfs_snapshotter.entrypoints.root import claim_root, plain_root, require_own_files


@pytest.mark.parametrize("character", [":", ",", "\\", "\n", "\0", "\x7f"])
def test_paths_that_break_mount_options(character: str) -> None:
    """The path stands in mount options, where some characters have a meaning."""
    with pytest.raises(StartError, match="the state directory"):
        plain_root(f"/var/lib/a{character}b")


@pytest.mark.parametrize("root", ["", "var/lib", "/", "//", "/.", "/a/.."])
def test_paths_that_cannot_be_meant(root: str) -> None:
    """A path that is not absolute, or is everything, is refused."""
    with pytest.raises(StartError, match="the state directory"):
        plain_root(root)


def test_a_plain_path() -> None:
    """Slashes that mean nothing are dropped: the path is compared and stored."""
    assert "/var/lib/x y" == plain_root("//var/lib//x y/")


def test_a_new_root_is_private(tmp_path: Path) -> None:
    """It is made for root alone, locked, and nothing else is in it yet."""
    lock = claim_root(str(tmp_path / "a" / "root"), fresh=False)

    assert 0o700 == stat.S_IMODE((tmp_path / "a" / "root").stat().st_mode)
    assert ["lock"] == [path.name for path in (tmp_path / "a" / "root").iterdir()]
    lock.release()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o500])
def test_an_existing_root_becomes_private(tmp_path: Path, mode: int) -> None:
    """What others could read in it is not for them."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root").chmod(mode)
    claim_root(str(tmp_path / "root"), fresh=False).release()

    assert 0o700 == stat.S_IMODE((tmp_path / "root").stat().st_mode)


def test_a_root_open_to_everybody(tmp_path: Path) -> None:
    """What everybody could have written cannot be relied on; it is left as it is."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root").chmod(0o777)
    with pytest.raises(StartError, match="everybody can write"):
        claim_root(str(tmp_path / "root"), fresh=False)

    assert 0o777 == stat.S_IMODE((tmp_path / "root").stat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_root_of_somebody_else(tmp_path: Path) -> None:
    """A directory of another user is not taken over."""
    (tmp_path / "root").mkdir()
    os.chown(tmp_path / "root", 12345, 0)
    with pytest.raises(StartError, match="belongs to user 12345"):
        claim_root(str(tmp_path / "root"), fresh=False)


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    """A path that is no directory is an error with its cause."""
    (tmp_path / "root").write_text("precious")
    with pytest.raises(StartError, match="cannot make the state directory"):
        claim_root(str(tmp_path / "root"), fresh=False)

    assert "precious" == (tmp_path / "root").read_text()


def test_one_daemon_for_a_root(tmp_path: Path) -> None:
    """A second one is refused, by whatever way it names the directory."""
    lock = claim_root(str(tmp_path / "root"), fresh=False)
    (tmp_path / "link").symlink_to(tmp_path / "root")
    for name in ("root", "link"):
        with pytest.raises(StartError, match="in use by another daemon"):
            claim_root(str(tmp_path / name), fresh=False)
    lock.release()


def _go_state(root: Path) -> Path:
    database = root / "snapshotter" / "metadata.db"
    database.parent.mkdir(parents=True)
    database.write_text("bolt")
    return database


def test_the_state_of_the_go_program(tmp_path: Path) -> None:
    """It is not silently passed over: the message names both ways on, and the lock is free."""
    database = _go_state(tmp_path / "root")
    with pytest.raises(StartError) as raised:
        claim_root(str(tmp_path / "root"), fresh=False)

    assert "import" in str(raised.value)
    assert "--fresh" in str(raised.value)
    assert ["snapshotter"] == [path.name for path in (tmp_path / "root").iterdir()]
    claim_root(str(tmp_path / "root"), fresh=True).release()
    assert "bolt" == database.read_text()


def test_the_state_of_the_go_program_beside_ours(tmp_path: Path) -> None:
    """Once there are records of ours, the old ones do not matter any more."""
    _go_state(tmp_path / "root")
    (tmp_path / "root" / "metadata.sqlite").touch()

    claim_root(str(tmp_path / "root"), fresh=False).release()


@pytest.mark.parametrize("name", ["snapshots/7", "l/7"])
def test_snapshots_without_records(tmp_path: Path, name: str) -> None:
    """They are not passed over; links of what belongs to no snapshot say nothing."""
    (tmp_path / "root" / name).mkdir(parents=True)
    with pytest.raises(StartError, match="holds 1 snapshots, but their records"):
        claim_root(str(tmp_path / "root"), fresh=False)

    claim_root(str(tmp_path / "root"), fresh=True).release()
    (tmp_path / "root" / name).rename(tmp_path / "root" / name.replace("7", "s"))
    claim_root(str(tmp_path / "root"), fresh=False).release()


def test_snapshots_of_an_interrupted_restore(tmp_path: Path) -> None:
    """Their records have another name for a moment; whoever opens them finishes that."""
    (tmp_path / "root" / "snapshots" / "7").mkdir(parents=True)
    (tmp_path / "root" / "metadata.sqlite.restoring-20260101T000000.000000Z").touch()

    claim_root(str(tmp_path / "root"), fresh=False).release()


def test_snapshots_that_cannot_be_looked_for(tmp_path: Path) -> None:
    """Then nothing is concluded."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "snapshots").touch()
    with pytest.raises(StartError, match="snapshots cannot be read: Not a directory"):
        claim_root(str(tmp_path / "root"), fresh=False)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_records_that_are_no_files(tmp_path: Path, suffix: str) -> None:
    """Records are plain files of root's."""
    require_own_files(str(tmp_path))
    (tmp_path / f"metadata.sqlite{suffix}").mkdir()
    with pytest.raises(StartError, match="cannot be relied on: it is not a file"):
        require_own_files(str(tmp_path))


def test_records_that_cannot_be_looked_at(tmp_path: Path) -> None:
    """The reason is told."""
    (tmp_path / "metadata.sqlite").symlink_to("metadata.sqlite")
    with pytest.raises(StartError, match="cannot be looked at: Too many levels"):
        require_own_files(str(tmp_path))
