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
    """Copy a database, rows that are still in its WAL included.

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
    partial = target.with_suffix(".part")
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        # Of a process that was killed at it.
        for old in directory.glob(f"{path.name}.*.part*"):
            old.unlink(missing_ok=True)
        with closing(connect(path)) as source, closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
            # One file, without a WAL beside it, is what an operator can copy.
            copy.execute("PRAGMA journal_mode=DELETE")
            verdict = copy.execute("PRAGMA integrity_check").fetchone()
        if verdict != ("ok",):
            raise DatabaseError(f"{path} is damaged: {verdict[0]}; it was left as it is")
        partial.chmod(0o600)
        _sync(partial)
        partial.rename(target)
        _sync(directory)
    except (sqlite3.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise DatabaseError(
            f"{path} could not be backed up to {directory} and was left as it is: {error}"
        ) from error
    for old in sorted(directory.glob(f"{path.name}.*.bak"))[:-KEEP]:
        old.unlink(missing_ok=True)
    return target


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
