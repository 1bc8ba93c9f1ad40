"""Directories that the daemon relies on."""

import os
import stat

from .errors import StartError


def make_private(path: str, what: str) -> os.stat_result:
    """Make a directory for root alone, or make sure that not everybody can write to it.

    Args:
        path: absolute; directories above it are made too, with the usual mode.
        what: how a message calls it.

    Returns:
        What stat(2) tells of it.

    Raises:
        StartError: it cannot be made, is no directory, or everybody can write to it.
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)  # noqa: PTH103 - paths are texts here
        found = os.stat(path)  # noqa: PTH116 - paths are texts here
    except OSError as error:
        raise StartError(f"cannot make {what} {path}: {error.strerror}") from None
    if found.st_mode & stat.S_IWOTH:
        raise StartError(
            f"everybody can write to {what} {path} (mode {stat.S_IMODE(found.st_mode):04o}), so "
            "that nothing in it can be relied on; choose another one or change its mode"
        )
    return found


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
