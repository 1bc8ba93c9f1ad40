"""What the probe worker says about a source's root, and how it keeps it open."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cvmfs_snapshotter.adapters.layers.worker.__main__ import _HELD, answer
from cvmfs_snapshotter.proto.containerd.types.mount_pb2 import Mount
from tests.harness.mounts import mounted

REPOSITORY = "unpacked.example.org"


@pytest.fixture(autouse=True)
def nothing_held() -> Iterator[None]:
    """Leave nothing held to other tests."""
    yield
    _HELD.let_go()


def root(path: Path, repository: str | None = None, *, hold: bool = False) -> dict[str, object]:
    """Ask a source who it is."""
    source = {"root": str(path), "repository": repository}
    return answer({"do": "root", "source": source, "hold": hold}, lambda _: None)


def held(path: Path) -> list[int]:
    """Give the flags of every descriptor of a directory that this process has open."""
    flags = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = link.readlink()
            about = Path(f"/proc/self/fdinfo/{link.name}").read_text().splitlines()
        except FileNotFoundError:
            continue
        if target == path:
            flags.append(next(int(line.split()[1], 8) for line in about if "flags" in line))
    return flags


def test_directory(tmp_path: Path) -> None:
    """A plain directory is what it is and has no revision; it is not held unasked."""
    assert {"proven": True, "revision": None} == root(tmp_path)
    assert [] == held(tmp_path)


@pytest.mark.parametrize(
    ("revision", "expected"), [(b"4711", 4711), (None, None), (b"", None), (b"x", None)]
)
def test_repository(tmp_path: Path, revision: bytes | None, expected: int | None) -> None:
    """A repository says its name and, unless that is protected, its revision."""
    os.setxattr(tmp_path, "user.fqrn", REPOSITORY.encode())
    if revision is not None:
        os.setxattr(tmp_path, "user.revision", revision)

    assert {"proven": True, "revision": expected} == root(tmp_path, REPOSITORY)


def test_no_root(tmp_path: Path) -> None:
    """Where nothing is, nothing is held, and the reason is said."""
    assert "not-mounted" == root(tmp_path / "none", hold=True)["reason"]


def test_hold(tmp_path: Path) -> None:
    """A root is held by one descriptor that cannot read, however often it is asked for."""
    for _ in range(3):
        assert "reason" not in root(tmp_path, hold=True)
    root(tmp_path)

    (flags,) = held(tmp_path)
    assert flags & os.O_PATH


def test_follows_a_new_root(tmp_path: Path) -> None:
    """What has come in the place of a root is held instead of it."""
    path = tmp_path / "source"
    path.mkdir()
    root(path, hold=True)
    path.rename(tmp_path / "old")
    path.mkdir()
    root(path, hold=True)

    assert 1 == len(held(path))
    assert [] == held(tmp_path / "old")


@pytest.mark.parametrize("call", ["fstatvfs", "open"])
def test_dead_root_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A client that has died is not held, so that it can be unmounted and mounted again."""
    root(tmp_path, hold=True)

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOTCONN, "dead")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        found = root(tmp_path, hold=True)

    assert "disconnected" == found["reason"]
    assert [] == held(tmp_path)


def test_failed_identity_alone_keeps_it(tmp_path: Path) -> None:
    """Only a request to hold lets go of what is held."""
    root(tmp_path, hold=True)
    root(tmp_path / "none")

    assert 1 == len(held(tmp_path))


def test_no_descriptor_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root that cannot be held is a failure."""
    real: Callable[..., int] = os.open

    def opening(path: str, flags: int, *args: Any, **more: Any) -> int:
        if flags & os.O_PATH:
            raise OSError(errno.EMFILE, "too many")
        return real(path, flags, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opening)
        assert "failed" == root(tmp_path, hold=True)["reason"]


def test_held_mount_is_busy(tmp_path: Path) -> None:
    """What is held cannot be unmounted, which is what keeps an automounter from doing it."""
    with mounted([Mount(type="tmpfs", source="held")], tmp_path):
        root(tmp_path, hold=True)
        busy = subprocess.run(["umount", tmp_path], check=False, capture_output=True, text=True)
        _HELD.let_go()

    assert 0 != busy.returncode
    assert "busy" in busy.stderr
