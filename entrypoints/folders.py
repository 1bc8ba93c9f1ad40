"""Directories that the daemon relies on."""

import contextlib
import errno
import os
import stat
from collections.abc import Sequence

from .errors import StartError
from .trust import distrust


def make_private(path: str, what: str) -> tuple[str, ...]:
    """Make a directory for root alone, or make sure that it is not for others to write to.

    Args:
        path: absolute; directories above it are made too, with the usual mode.
        what: how a message calls it.

    Returns:
        The directories that were made, the outermost first.

    Raises:
        StartError: it cannot be made, is no directory, belongs to somebody else, or everybody can
            write to it. Nothing is left of what was made then.
    """
    made: list[str] = []
    try:
        _make(path, made)
        found = os.stat(path)  # noqa: PTH116 - paths are texts here
    except OSError as error:
        remove_made(made)
        raise StartError(f"cannot make {what} {path}: {error.strerror}") from None
    reason = distrust(found)
    if reason:
        remove_made(made)
        raise StartError(
            f"{what} {path} cannot be relied on: {reason}; choose another one or change that"
        )
    return tuple(made)


def _make(path: str, made: list[str]) -> None:
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)  # noqa: PTH120 - paths are texts here
    for depth, directory in enumerate(reversed(missing), start=1):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700 if depth == len(missing) else 0o777)  # noqa: PTH102 - texts
            made.append(directory)
    if not missing and not stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116 - texts
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)


def remove_made(made: Sequence[str]) -> None:
    """Remove directories that were made for nothing, as far as they are empty.

    Args:
        made: the outermost first.
    """
    for directory in reversed(made):
        with contextlib.suppress(OSError):
            os.rmdir(directory)  # noqa: PTH106 - paths are texts here


def require_plain(path: str, what: str, forbidden: str = "") -> str:
    """Refuse a path that cannot be meant.

    Args:
        path: from the command line.
        what: how a message calls it.
        forbidden: characters that it must not have, besides control characters.

    Returns:
        The path, without slashes that mean nothing.

    Raises:
        StartError: it is not absolute, is the root directory, or has a forbidden character.
    """
    if not path.startswith("/"):
        raise StartError(f"{what} must be an absolute path, not {path!r}")
    if not path.isprintable():
        raise StartError(f"{what} has a control character or no valid text: {path!r}")
    bad = sorted(set(path) & set(forbidden))
    if bad:
        raise StartError(
            f"{what} {path!r} has {bad[0]!r}, which has a meaning in mount options; choose another"
        )
    plain = os.path.normpath("/" + path.lstrip("/"))
    if plain == "/":
        raise StartError(f"{what} cannot be the root directory")
    return plain
