"""Locks that a daemon holds for its life."""

import contextlib
import fcntl
import os

import attrs

from .errors import StartError

_PID_BYTES = 32


@attrs.frozen
class Lock:
    """An exclusive lock on a file. It ends with the process, however that ends.

    The file stays: removing it would let two daemons lock two files of one name.
    """

    _descriptor: int

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._descriptor)


def take_lock(path: str, what: str) -> Lock:
    """Lock a file, and write our process identifier into it.

    Args:
        path: of the file, which is made if need be.
        what: what the lock is for, as a message names it.

    Returns:
        The lock. No program that is started from here inherits it.

    Raises:
        StartError: another daemon has it, or the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StartError(f"cannot open the lock {path}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise StartError(f"{what} is in use by another daemon{holder}: {path}") from None
        raise StartError(f"cannot lock {path}: {error.strerror}") from None
    # Who it is helps the operator; a full disk must not keep the daemon from starting.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Lock(descriptor)


def _holder(descriptor: int) -> str:
    try:
        recorded = os.pread(descriptor, _PID_BYTES, 0).strip()
    except OSError:
        return ""
    return f" (process {recorded.decode()})" if recorded.isdigit() else ""
