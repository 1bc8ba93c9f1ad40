"""Files on disk: whole or not at all, with what the old one had beside its bytes."""

import contextlib
import glob
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import RefusedError

BACKUP = ".before-cvmfs-snapshotter"
"""What the name of a copy of the file as it was ends with; a number may follow."""

_MOST_BYTES = 1 << 20
_MODE = 0o644


def load(path: Path) -> str | None:
    """Read a file.

    Returns:
        Its text; None if it is not there.

    Raises:
        RefusedError: it cannot be read, or is no text of a sensible size.
    """
    try:
        with path.open("rb") as opened:
            found = opened.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}") from None
    if len(found) > _MOST_BYTES:
        raise RefusedError(f"{path}: has more than {_MOST_BYTES} bytes")
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(f"{path}: byte {error.start} is not UTF-8") from None


@contextlib.contextmanager
def written(path: Path, text: str, like: Path) -> Iterator[Path]:
    """Write a file beside the one whose place it may take, and take it away in the end.

    Args:
        path: whose place it may take; its name makes no pattern of ``imports`` match the file.
        text: of the new file.
        like: has the owner, the mode and the attributes that it gets, if it is there.

    Yields:
        The new file, which is on disk.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    made = Path(name)
    try:
        with open(descriptor, "wb") as opened:  # noqa: PTH123 - it is open already
            opened.write(text.encode())
            _resemble(like, opened.fileno())
            opened.flush()
            os.fsync(opened.fileno())
        yield made
    finally:
        made.unlink(missing_ok=True)


def replace(path: Path, made: Path, before: str | None) -> None:
    """Put a new file into its place, durably.

    Args:
        path: the place.
        made: the new file, beside it.
        before: what the place is thought to hold.

    Raises:
        RefusedError: it holds something else by now.
    """
    if load(path) != before:
        raise RefusedError(f"{path}: somebody else changed it; run the command once more")
    made.replace(path)
    _sync(path.parent)


def remove(path: Path, before: str) -> None:
    """Take a file away, durably.

    Raises:
        RefusedError: it is not what it was.
    """
    if load(path) != before:
        raise RefusedError(f"{path}: somebody else changed it; run the command once more")
    path.unlink()
    _sync(path.parent)


def back_up(path: Path, text: str) -> Path:
    """Keep what a file says beside it, under a name that is free.

    Returns:
        The copy.
    """
    number = 1
    while True:
        copy = path.with_name(f"{path.name}{BACKUP}{f'.{number}' if number > 1 else ''}")
        found = load(copy)
        if found == text:
            return copy
        if found is None:
            with written(copy, text, path) as made:
                replace(copy, made, None)
            return copy
        number += 1


def forget_backups(path: Path, text: str) -> None:
    """Take away the copies that say what the file says again."""
    for copy in path.parent.glob(f"{glob.escape(path.name)}{BACKUP}*"):
        if load(copy) == text:
            remove(copy, text)


def _resemble(like: Path, descriptor: int) -> None:
    try:
        found = like.stat()
        names = os.listxattr(like)
    except FileNotFoundError:
        os.fchmod(descriptor, _MODE)
        return
    os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, found.st_mode & 0o7777)
    for name in names:
        # Labels of the system; not every file system takes all of them.
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, name, os.getxattr(like, name))


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
