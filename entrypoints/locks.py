"""Locks that a daemon holds for its life."""

import contextlib
import fcntl
import os

import attrs

from .errors import InUseError, StartError
from .folders import remove_made

_PID_BYTES = 32


@attrs.define
class Lock:
    """An exclusive lock on a file. It ends with the process, however that ends.

    The file stays: it says who had the lock, and the next daemon takes it again.

    Attributes:
        path: of the file.
    """

    path: str
    _descriptor: int | None
    _made: tuple[str, ...]
    _made_file: bool

    def release(self) -> None:
        """Give the lock up, if that has not been done."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def abandon(self) -> None:
        """Give the lock up for good and leave nothing behind that was made for it."""
        # Before it is free: whoever waits for it sees that this is not the file any more.
        if self._made_file:
            with contextlib.suppress(OSError):
                os.unlink(self.path)  # noqa: PTH108 - paths are texts here
        remove_made(self._made)
        self.release()


def take_lock(path: str, what: str, made: tuple[str, ...] = ()) -> Lock:
    """Lock a file, and write our process identifier into it.

    Args:
        path: of the file, which is made if need be.
        what: what the lock is for, as a message names it.
        made: directories that were made for it, the outermost first.

    Returns:
        The lock. No program that is started from here inherits it.

    Raises:
        StartError: another daemon has it, or the file cannot be opened. Nothing is left then of
            what was made for it.
    """
    try:
        return _take(path, what, made)
    except StartError:
        remove_made(made)
        raise


def take_existing_lock(path: str, what: str) -> Lock | None:
    """Lock a file that a daemon has made, and change nothing about it.

    Args:
        path: of the file.
        what: what the lock is for, as a message names it.

    Returns:
        The lock; None if there is no such file, so that no daemon is running.

    Raises:
        InUseError: a daemon has it.
        StartError: the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartError(f"cannot open the lock {path}: {error.strerror}") from None
    lock = Lock(path, descriptor, (), False)  # noqa: FBT003 - an attrs class
    _hold(lock, descriptor, what)
    return lock


def _take(path: str, what: str, made: tuple[str, ...]) -> Lock:
    while True:
        descriptor, made_file = _open(path)
        lock = Lock(path, descriptor, made, made_file)
        _hold(lock, descriptor, what)
        if _is_there(descriptor, path):
            break
        # A daemon that was refused took its file away between the two calls.
        lock.release()
    # Who it is helps the operator; a full disk must not keep the daemon from starting.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return lock


def _hold(lock: Lock, descriptor: int, what: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(descriptor)
        lock.release()
        if isinstance(error, BlockingIOError):
            raise InUseError(f"{what} is in use by another daemon{holder}: {lock.path}") from None
        raise StartError(f"cannot lock {lock.path}: {error.strerror}") from None


def _open(path: str) -> tuple[int, bool]:
    """Open the file of a lock; tell whether it was made for that."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with contextlib.suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600), True
        return os.open(path, flags | os.O_CREAT, 0o600), False
    except OSError as error:
        raise StartError(f"cannot open the lock {path}: {error.strerror}") from None


def _is_there(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    try:
        recorded = os.pread(descriptor, _PID_BYTES, 0).strip()
    except OSError:
        return ""
    return f" (process {recorded.decode()})" if recorded.isdigit() else ""
