"""How much room the records take, and how much there is in the state directory."""

import os
import stat

import attrs

from .root import database_path

_FILES = ("", "-wal", "-shm")
"""What SQLite appends to the name of a database for the files that belong to it."""


@attrs.frozen
class Disk:
    """What the disk has, in bytes; None for what could not be found out.

    Attributes:
        records: size of their database, with the files that SQLite keeps beside it.
        free: left on the file system of the state directory for those that are not root.
        total: size of that file system.
    """

    records: int | None
    free: int | None
    total: int | None


def disk_of(root: str) -> Disk:
    """Measure a state directory. Nothing is opened, and no source is looked at.

    To open a database's file beside SQLite, and close it, would take away the locks of the whole
    process (https://sqlite.org/howtocorrupt.html, section 2.2).

    Args:
        root: its path.
    """
    free: int | None = None
    total: int | None = None
    try:
        found = os.statvfs(root)
    except OSError:
        pass
    else:
        free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    return Disk(_records(database_path(root)), free, total)


def _records(path: str) -> int | None:
    sizes = [_size(f"{path}{suffix}") for suffix in _FILES]
    if sizes[0] is None:
        return None
    return sum(size for size in sizes if size is not None)


def _size(path: str) -> int | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
