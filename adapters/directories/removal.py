"""Deleting a tree."""

import contextlib
import errno
import os
from pathlib import Path

from .walk import walk

_TRIES = 5
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Remover:
    """Deletes what it visits."""

    def enter(self, about: os.stat_result) -> None:
        pass

    def entry(self, here: int, entry: os.DirEntry[str]) -> bool:
        if entry.is_dir(follow_symlinks=False):
            return True
        remove_file(here, entry.name)
        return False

    def leave(self, here: int, name: str) -> None:
        try:
            os.rmdir(name, dir_fd=here)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTEMPTY}:
                raise

    def mounted(self, name: str) -> None:
        raise OSError(errno.EBUSY, "something is mounted there", name)


def remove_file(directory: int, name: str) -> None:
    """Delete an entry of a directory that is not a directory; nothing there is success.

    Args:
        directory: descriptor of the directory.
        name: the entry.

    Raises:
        OSError: it cannot be deleted.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def remove_tree(directory: Path, name: str) -> None:
    """Delete an entry of a directory and all below it; nothing there is success.

    Symbolic links are deleted, not followed, and nothing is deleted in another mount. Two callers
    may do this at once.

    Args:
        directory: the directory.
        name: the entry.

    Raises:
        OSError: something cannot be deleted, or (EBUSY) something is mounted below.
    """
    parent = os.open(directory, _DIRECTORY)
    try:
        # A file system may pass over entries while others are deleted, so that it takes again.
        for _ in range(_TRIES):
            walk(parent, name, _Remover())
            if not _exists(parent, name):
                return
        os.rmdir(name, dir_fd=parent)
    except NotADirectoryError:
        remove_file(parent, name)
    finally:
        os.close(parent)


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
