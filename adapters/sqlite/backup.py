"""Copies of the database that can be relied on."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from .connections import connect
from .trouble import DatabaseError

KEEP = 5
"""How many backups are kept; older ones are deleted when a new one has been made."""


def back_up(path: Path, directory: Path, revision: str | None) -> Path:
    """Copy a database, rows that are still in its WAL included. A daemon may be using it.

    Args:
        path: the database.
        directory: where backups are; made if it is not there.
        revision: the schema, for the name.

    Returns:
        The backup, whole and on disk.

    Raises:
        DatabaseError: the copy could not be made, or is damaged; the database is as it was.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = directory / f"{path.name}.{revision}.{stamp}.bak"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        # Of a process that was killed at it.
        for old in directory.glob(f"{path.name}.*.part*"):
            old.unlink(missing_ok=True)
    except OSError as error:
        raise _failed(path, directory, error) from error
    back_up_to(path, target)
    for old in backups_in(directory, path.name)[:-KEEP]:
        old.unlink(missing_ok=True)
    return target


def backups_in(directory: Path, name: str) -> list[Path]:
    """Give the backups of a database, the newest last; none if they cannot be seen.

    Args:
        directory: where backups are.
        name: of the database's file.
    """
    try:
        # The time stands behind the schema, which may have been a newer one before.
        return sorted(directory.glob(f"{name}.*.bak"), key=lambda path: path.name.split(".")[-3:])
    except OSError:
        return []


def back_up_to(path: Path, target: Path) -> None:
    """Copy a database to a file, which appears whole or not at all. A daemon may be using it.

    Args:
        path: the database.
        target: the file, which must not be there; its directory is.

    Raises:
        DatabaseError: the copy could not be made, or is damaged; the database is as it was.
    """
    partial = target.with_name(f"{target.name}.part")
    try:
        if target.exists():
            raise DatabaseError(f"{target} is there already; it was left as it is")
        with closing(connect(path)) as source:
            copy_whole(source, partial)
        partial.rename(target)
        _sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise _failed(path, target.parent, error) from error


def copy_whole(source: sqlite3.Connection, target: Path) -> None:
    """Copy what a connection sees to a file that only root can read, and check the copy.

    Args:
        source: a connection.
        target: the file, which is not there.

    Raises:
        sqlite3.Error: it cannot be copied, or is damaged.
        OSError: the same.
    """
    target.touch(0o600, exist_ok=False)
    try:
        with closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            # One file, without a WAL beside it, is what an operator can copy.
            copy.execute("PRAGMA journal_mode=DELETE")
            require_sound(copy)
        target.chmod(0o600)
        _sync(target)
    except BaseException:
        for suffix in ("", "-journal"):
            target.with_name(f"{target.name}{suffix}").unlink(missing_ok=True)
        raise


def require_sound(database: sqlite3.Connection) -> None:
    """Make sure that nothing in a database is damaged.

    Raises:
        sqlite3.DatabaseError: something is.
    """
    verdict = database.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != ("ok",):
        raise sqlite3.DatabaseError(f"it is damaged: {verdict[0]}")


def _failed(path: Path, directory: Path, error: Exception) -> DatabaseError:
    return DatabaseError(
        f"{path} could not be backed up to {directory} and was left as it is: {error}"
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
