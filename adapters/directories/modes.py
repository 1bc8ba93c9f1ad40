"""Directories with the mode that is asked for, whatever the process's umask is."""

import os
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
        os.chown(path, *owner, follow_symlinks=False)
        path.chmod(mode)
    except BaseException:
        path.rmdir()
        raise
