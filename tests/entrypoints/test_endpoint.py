import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.endpoint import claim_address, plain_address, private_files
from cvmfs_snapshotter.entrypoints.errors import StartError


@pytest.fixture
def directory() -> Iterator[Path]:
    """Give a directory with a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def _listen(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(1)
    return server


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "absolute path, not ''"),
        ("run/x.sock", "absolute path, not 'run/x.sock'"),
        ("/", "cannot be the root directory"),
        ("/a\0b", "control character"),
        ("/a\nb", "control character"),
        ("/a\udcffb", "no valid text"),
        ("/" + "x" * 107, "has 108 bytes; the path of a socket has at most 107"),
        ("/" + "é" * 60, "has 121 bytes"),
    ],
)
def test_addresses_that_cannot_be_meant(address: str, words: str) -> None:
    """An address that cannot be a socket's is refused with its reason."""
    with pytest.raises(StartError, match=words):
        plain_address(address)


def test_a_plain_address() -> None:
    """Slashes that mean nothing are dropped; the longest possible path is accepted."""
    assert "/run/x/y.sock" == plain_address("//run/x//./y.sock")
    assert 107 == len(plain_address("/" + "x" * 106))


def test_a_new_directory_is_private(directory: Path) -> None:
    """The directory of the socket is made for root alone."""
    lock = claim_address(str(directory / "a" / "b" / "s"))

    assert 0o700 == stat.S_IMODE((directory / "a" / "b").stat().st_mode)
    lock.release()


def test_an_existing_directory_is_left(directory: Path) -> None:
    """The mode of a directory that is there stays as it is."""
    directory.chmod(0o755)
    claim_address(str(directory / "s")).release()

    assert 0o755 == stat.S_IMODE(directory.stat().st_mode)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703])
def test_a_directory_open_to_everybody(directory: Path, mode: int) -> None:
    """Where everybody can write, a socket could be anybody's."""
    directory.chmod(mode)
    with pytest.raises(StartError, match=f"everybody can write to .* {mode:04o}"):
        claim_address(str(directory / "s"))

    assert [] == list(directory.iterdir())


def test_a_stale_socket_is_removed(directory: Path) -> None:
    """What a killed daemon has left does not keep the next one out."""
    _listen(directory / "s").close()
    lock = claim_address(str(directory / "s"))

    assert ["s.lock"] == [path.name for path in directory.iterdir()]
    lock.release()


def test_a_live_socket_is_left(directory: Path) -> None:
    """gRPC would take it over without a word, and its clients with it."""
    with _listen(directory / "s") as server:
        with pytest.raises(StartError, match="somebody serves on"):
            claim_address(str(directory / "s"))
        assert (directory / "s").is_socket()
        server.accept()[0].close()


def test_a_busy_socket_is_left(directory: Path) -> None:
    """A server with a full backlog is there, even if it does not answer."""
    with _listen(directory / "s"):
        clients = []
        for _ in range(3):
            clients.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            clients[-1].setblocking(False)
            clients[-1].connect_ex(str(directory / "s"))
        with pytest.raises(StartError, match="somebody serves on"):
            claim_address(str(directory / "s"))
        for client in clients:
            client.close()


@pytest.mark.parametrize("kind", ["file", "directory", "link", "fifo"])
def test_something_else_is_left(directory: Path, kind: str) -> None:
    """Whatever is no socket is never removed, a link to one neither."""
    path = directory / "s"
    _listen(directory / "real").close()
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(directory / "real")
    else:
        os.mkfifo(path)
    before = path.lstat()
    with pytest.raises(StartError, match="is not a socket; it is left alone"):
        claim_address(str(path))

    assert before.st_ino == path.lstat().st_ino
    assert (directory / "real").is_socket()


def test_one_daemon_for_a_socket(directory: Path) -> None:
    """The lock beside the socket keeps a second daemon out, also before the first one binds."""
    lock = claim_address(str(directory / "s"))
    with pytest.raises(StartError, match=f"the socket .* in use .* {os.getpid()}"):
        claim_address(str(directory / "s"))

    lock.release()
    claim_address(str(directory / "s")).release()


def test_files_are_private_from_their_first_moment(directory: Path) -> None:
    """A socket made in the block can never be opened by others; the mask is put back."""
    before = os.umask(0o022)
    try:
        with private_files(), _listen(directory / "s"):
            assert 0o600 == stat.S_IMODE((directory / "s").stat().st_mode)
        assert 0o022 == os.umask(0o022)
    finally:
        os.umask(before)
