"""Directories that appear with their mode and owner, or not at all."""

import secrets
import stat
from pathlib import Path

from .links import NEW
from .modes import make_directory


def is_directory(path: Path) -> bool:
    """Tell whether a path leads to a directory, and not by a link.

    Raises:
        OSError: it cannot be told.
    """
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def appear_directory(path: Path, mode: int, owner: tuple[int, int]) -> bool:
    """Make a directory that others know of already, in one step.

    A snapshot that is recorded may be mounted at any moment, and after a crash nobody would look
    at modes and owners again.

    Args:
        path: the directory; nobody else makes it at the same time.
        mode: its permission bits.
        owner: its user and group ID.

    Returns:
        Whether it was made; False if it was there.

    Raises:
        OSError: it cannot be made.
    """
    if is_directory(path):
        return False
    temporary = path.with_name(f"{NEW}{secrets.token_hex(8)}")
    make_directory(temporary, mode, owner)
    try:
        temporary.rename(path)
    except BaseException:
        temporary.rmdir()
        raise
    return True
