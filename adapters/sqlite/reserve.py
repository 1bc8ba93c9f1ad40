"""Space that is set aside, so that snapshots can be removed from a full disk.

Even forgetting a snapshot takes some pages, and opening the database takes a file or two. On a
disk that containers have filled there would be none, and with that no way ever to free any.
"""

import os
import threading
from pathlib import Path

FILES = 4
"""As many files: a disk can also run out of inodes, and what is not needed yet is better kept."""

FILE_BYTES = 2 * 1024 * 1024
"""Two of them hold the WAL, which SQLite lets grow to 1,000 pages before it starts it again."""

_ENOUGH = 2 * FILES * FILE_BYTES
"""Bytes that must be free before any is set aside: it must not be what fills the disk."""


class Reserve:
    """Files that hold space and inodes until they are needed; any thread may call."""

    def __init__(self, directory: Path) -> None:
        """Take what is there.

        Args:
            directory: holds the files and nothing else; its parent exists.
        """
        self._directory = directory
        self._files = [directory / str(number) for number in range(FILES)]
        self._lock = threading.Lock()
        self._whole = False

    def make(self, enough: int = _ENOUGH) -> bool:
        """Set aside what is not yet, if there is space.

        Args:
            enough: bytes that must be free.

        Returns:
            Whether all of it is set aside.
        """
        if self._whole or not self._lock.acquire(blocking=False):
            return self._whole
        try:
            self._whole = self._make(enough)
        finally:
            self._lock.release()
        return self._whole

    def make_of_the_last(self) -> None:
        """Set aside whatever is left: what else would take it needs it less."""
        self.make(enough=0)

    def _make(self, enough: int) -> bool:
        try:
            missing = [file for file in self._files if not _holds_space(file)]
            if not missing:
                return True
            free = os.statvfs(self._directory.parent)
            if free.f_bfree * free.f_frsize < enough:
                return False
            self._directory.mkdir(0o700, exist_ok=True)
            for file in missing:
                _fill(file)
        except OSError:
            return False
        return True

    def give_up_some(self) -> bool:
        """Free one of the files for what is done next.

        Returns:
            Whether there was one.
        """
        with self._lock:
            self._whole = False
            return any(_gone(file) for file in self._files)


def _holds_space(file: Path) -> bool:
    # A copy of the directory may have holes in place of the zeros.
    try:
        about = file.lstat()
    except FileNotFoundError:
        return False
    return about.st_blocks * 512 >= FILE_BYTES


def _fill(file: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(file, flags, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, FILE_BYTES)
    except OSError:
        file.unlink()
        raise
    finally:
        os.close(descriptor)


def _gone(file: Path) -> bool:
    try:
        file.unlink()
    except OSError:
        return False
    return True
