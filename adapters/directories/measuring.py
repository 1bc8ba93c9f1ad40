"""What a tree takes on disk, counted as containerd counts it (continuity's ``fs.DiskUsage``)."""

import os
from pathlib import Path

from cvmfs_snapshotter.domain.snapshot import Usage

from .walk import walk

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

BLOCK_BYTES = 512
"""Unit of ``st_blocks``, whatever the file system's own block size (stat(2))."""


class _Counter:
    """Adds up what it visits."""

    def __init__(self) -> None:
        self.blocks = 0
        self.inodes = 0
        self._linked: set[tuple[int, int]] = set()

    def enter(self, about: os.stat_result) -> None:
        self._add(about)

    def entry(self, here: int, entry: os.DirEntry[str]) -> bool:
        if entry.is_dir(follow_symlinks=False):
            # Counted when it is entered, for something may be mounted there.
            return True
        try:
            about = os.stat(entry.name, dir_fd=here, follow_symlinks=False)
        except FileNotFoundError:
            return False
        identity = about.st_dev, about.st_ino
        if about.st_nlink > 1:
            if identity in self._linked:
                return False
            self._linked.add(identity)
        self._add(about)
        return False

    def _add(self, about: os.stat_result) -> None:
        self.blocks += about.st_blocks
        self.inodes += 1

    def leave(self, here: int, name: str) -> None:
        pass

    def mounted(self, name: str) -> None:
        pass


def measure(directory: Path, name: str) -> Usage:
    """Count what an entry of a directory and all below it take, whatever comes or goes meanwhile.

    Args:
        directory: the directory.
        name: the entry, a directory.

    Returns:
        Bytes in allocated blocks, and inodes, hard links once and the entry itself included.
        Nothing if one of the two does not exist.

    Raises:
        OSError: something cannot be read.
    """
    counter = _Counter()
    try:
        parent = os.open(directory, _DIRECTORY)
    except FileNotFoundError:
        return Usage(0, 0)
    try:
        walk(parent, name, counter)
    finally:
        os.close(parent)
    return Usage(counter.blocks * BLOCK_BYTES, counter.inodes)
