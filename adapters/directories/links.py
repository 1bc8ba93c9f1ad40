"""Symbolic links that are there, with one content or another, at every moment."""

import contextlib
import secrets
from pathlib import Path

NEW = ".new-"
"""Begins the name of what is being made; one that is found at start was left by a crash."""


def replace_link(path: Path, target: str) -> None:
    """Make a symbolic link lead to a target, whatever link was there before.

    Args:
        path: the link.
        target: where it leads to.

    Raises:
        OSError: it cannot be made.
    """
    try:
        # Nothing is there yet, nearly always.
        path.symlink_to(target)
    except FileExistsError:
        _replace(path, target)


def _replace(path: Path, target: str) -> None:
    with contextlib.suppress(OSError):
        if path.readlink() == Path(target):
            return
    temporary = path.with_name(f"{NEW}{secrets.token_hex(8)}")
    temporary.symlink_to(target)
    try:
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
