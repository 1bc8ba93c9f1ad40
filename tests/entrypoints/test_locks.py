import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.errors import StartError
from cvmfs_snapshotter.entrypoints.locks import take_lock


def test_a_second_lock_is_refused(tmp_path: Path) -> None:
    """One daemon has it; the message names its process and the file."""
    path = str(tmp_path / "lock")
    lock = take_lock(path, "the root")
    with pytest.raises(StartError) as raised:
        take_lock(path, "the root")

    assert f"the root is in use by another daemon (process {os.getpid()}): {path}" == str(
        raised.value
    )
    lock.release()
    take_lock(path, "the root").release()


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"12 34", b"\xff", b"-1"])
def test_a_lock_without_a_process(tmp_path: Path, content: bytes) -> None:
    """Whatever else stands in the file is not repeated."""
    path = tmp_path / "lock"
    lock = take_lock(str(path), "it")
    path.write_bytes(content)

    with pytest.raises(StartError, match=r"^it is in use by another daemon: /"):
        take_lock(str(path), "it")
    lock.release()


def test_a_left_lock_file_is_no_lock(tmp_path: Path) -> None:
    """The file of a daemon that was killed does not keep the next one out."""
    path = tmp_path / "lock"
    path.write_text("1\n")
    lock = take_lock(str(path), "it")

    assert f"{os.getpid()}\n" == path.read_text()
    lock.release()


def test_started_programs_do_not_inherit_it(tmp_path: Path) -> None:
    """A probe process that outlives a killed daemon must not keep its lock."""
    lock = take_lock(str(tmp_path / "lock"), "it")
    command = [sys.executable, "-c", "print(flush=True); input()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, close_fds=False) as process:
        assert process.stdout is not None
        process.stdout.readline()
        lock.release()
        take_lock(str(tmp_path / "lock"), "it").release()
        process.communicate(b"\n")


def test_an_abandoned_lock_leaves_nothing(tmp_path: Path) -> None:
    """File and directories that were made for it are gone; what else is there stays."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    made = (str(tmp_path / "a"), str(tmp_path / "a" / "b"))
    take_lock(str(tmp_path / "a" / "b" / "lock"), "it", made).abandon()
    assert [] == list(tmp_path.iterdir())

    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "precious").touch()
    take_lock(str(tmp_path / "a" / "b" / "lock"), "it", made).abandon()
    assert ["precious"] == [path.name for path in (tmp_path / "a").iterdir()]


def test_abandoning_leaves_a_file_that_was_there(tmp_path: Path) -> None:
    """Only what was made for the lock goes."""
    (tmp_path / "lock").touch()
    take_lock(str(tmp_path / "lock"), "it").abandon()

    assert ["lock"] == [path.name for path in tmp_path.iterdir()]


def test_a_lock_whose_file_is_taken_away_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locking a file that a refused daemon has just removed would let in a second daemon."""
    path = tmp_path / "lock"
    real = fcntl.flock

    def removed_meanwhile(descriptor: int, operation: int) -> None:
        real(descriptor, operation)
        monkeypatch.setattr(fcntl, "flock", real)
        path.unlink()

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    lock = take_lock(str(path), "it")

    assert path.exists()
    with pytest.raises(StartError, match="in use"):
        take_lock(str(path), "it")
    lock.release()


def test_a_refused_lock_leaves_no_directories(tmp_path: Path) -> None:
    """What was made before the lock was found taken is gone again."""
    lock = take_lock(str(tmp_path / "lock"), "it")
    (tmp_path / "made").mkdir()
    with pytest.raises(StartError, match="in use"):
        take_lock(str(tmp_path / "lock"), "it", (str(tmp_path / "made"),))

    assert ["lock"] == [path.name for path in tmp_path.iterdir()]
    lock.release()


@pytest.mark.parametrize("name", ["none/lock", "directory", "link"])
def test_what_cannot_be_locked(tmp_path: Path, name: str) -> None:
    """A path that is no file of ours is an error with its cause; links are not followed."""
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")

    with pytest.raises(StartError, match="cannot open the lock"):
        take_lock(str(tmp_path / name), "it")
    assert not (tmp_path / "target").exists()
