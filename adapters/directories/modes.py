"""Directories: their modes, whatever the process's umask is, and that they are real ones."""

import errno
import os
import stat
from pathlib import Path


def make_directory(path: Path, mode: int, owner: tuple[int, int] = (0, 0)) -> None:
    """Make a directory, or nothing.

    Args:
        path: the directory; its parent exists.
        mode: its permission bits.
        owner: its user and group ID.

    Raises:
        OSError: it cannot be made; EEXIST if something of that name is there.
    """
    path.mkdir(0o700)
    try:
        path.chmod(mode)
        os.chown(path, *owner, follow_symlinks=False)
    except BaseException:
        path.rmdir()
        raise


def require_real(*directories: Path) -> None:
    """Make sure that directories of ours are directories.

    A link in the place of one of them would have us make and delete things somewhere else.

    Args:
        directories: the directories.

    Raises:
        OSError: one is something else, or nothing.
    """
    for directory in directories:
        if not stat.S_ISDIR(directory.lstat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, f"{directory} is not a directory")
