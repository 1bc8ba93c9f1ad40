"""Putting a database in the place of another one, which is kept.

A database is up to three files, which cannot be exchanged in one step, and the WAL of one beside
another would destroy it. So the new one first gets a name that says what is to be done; whoever
opens the database next finishes that, should it have been interrupted.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from .trouble import DatabaseError

_PLANNED = ".restoring-"
_KEPT = ".replaced-"
_SUFFIXES = ("-wal", "-shm", "-journal", "")
"""Of the files of a database, the one without which the others are worth nothing last."""


def replace(new: Path, path: Path) -> Path:
    """Put a database in the place of the one that is there, if there is any.

    Args:
        new: one file in the same directory, whole and closed.
        path: of the database; nobody has it open.

    Returns:
        The name that the old one has now.

    Raises:
        DatabaseError: that failed; it is finished by whoever opens the database next.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    try:
        _sync(new)
        new.rename(path.with_name(f"{path.name}{_PLANNED}{stamp}"))
        _sync(path.parent)
    except OSError as error:
        raise DatabaseError(f"{path} cannot be replaced: {error.strerror}") from error
    finish_restore(path)
    return path.with_name(f"{path.name}{_KEPT}{stamp}")


def is_interrupted(path: Path) -> bool:
    """Tell whether ``finish_restore`` has something to do.

    Args:
        path: of the database.
    """
    return bool(_planned(path))


def finish_restore(path: Path) -> None:
    """Finish what an interrupted ``replace`` has left to do; usually there is nothing.

    Args:
        path: of the database; nobody has it open.

    Raises:
        DatabaseError: that failed; nothing is lost.
    """
    try:
        for new in _planned(path):
            stamp = new.name.removeprefix(f"{path.name}{_PLANNED}")
            for suffix in _SUFFIXES:
                old = path.with_name(f"{path.name}{suffix}")
                if old.exists():
                    old.rename(path.with_name(f"{path.name}{_KEPT}{stamp}{suffix}"))
            # The names must be free for good before the new one gets its own.
            _sync(path.parent)
            new.rename(path)
            _sync(path.parent)
    except OSError as error:
        raise DatabaseError(
            f"{path} cannot be replaced: {error.strerror}; the next start tries again"
        ) from error


def _planned(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}{_PLANNED}*"))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
