"""The unix socket: that it is ours alone, and that nothing else is removed for it."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator

from .errors import StartError
from .folders import make_private, require_plain
from .locks import Lock, take_lock

_PATH_BYTES = 107
"""Longest path of a unix socket: the kernel's ``sun_path`` without its final NUL (unix(7))."""

_SECONDS = 5.0


def plain_address(address: str) -> str:
    """Check the path of the socket.

    Args:
        address: from the command line.

    Returns:
        The path, without slashes that mean nothing.

    Raises:
        StartError: it is not absolute, or too long for a socket.
    """
    path = require_plain(address, "the address")
    length = len(path.encode())
    if length > _PATH_BYTES:
        raise StartError(
            f"the address {path} has {length} bytes; the path of a socket has at most "
            f"{_PATH_BYTES}"
        )
    return path


def claim_address(path: str) -> Lock:
    """Make sure that nobody serves on a socket, and remove one that was left behind.

    gRPC would take a live socket over without a word.

    Args:
        path: of the socket, checked by ``plain_address``.

    Returns:
        The lock beside the socket.

    Raises:
        StartError: somebody serves on it, something else than a socket is there, or the directory
            cannot be relied on. Nothing is left of what was made then.
    """
    made = make_private(os.path.dirname(path), "the directory of the socket")  # noqa: PTH120
    lock = take_lock(f"{path}.lock", f"the socket {path}", made)
    try:
        _remove_stale(path)
    except StartError:
        lock.abandon()
        raise
    return lock


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(f"cannot look at {path}: {error.strerror}") from None
    if not stat.S_ISSOCK(mode):
        raise StartError(f"{path} is not a socket; it is left alone: choose another address")
    if somebody_serves(path):
        raise StartError(f"somebody serves on {path} already, though without our lock beside it")
    try:
        os.unlink(path)  # noqa: PTH108 - paths are texts here
    except OSError as error:
        raise StartError(f"cannot remove the stale socket {path}: {error.strerror}") from None


def somebody_serves(path: str) -> bool:
    """Tell whether anybody listens on a socket.

    Args:
        path: of the socket; there may be none.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_SECONDS)
        try:
            client.connect(path)
        except ConnectionRefusedError:
            return False
        except FileNotFoundError:
            return False
        except OSError:
            # A full backlog for one: somebody is there, even if it does not answer.
            return True
    return True


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Let files and sockets that are made in the block be accessible to root alone.

    The mask belongs to the whole process, so that no other thread may make files meanwhile.
    """
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
