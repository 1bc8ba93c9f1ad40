"""A backup, made ready to take the place of the database."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs

from .backup import copy_whole
from .migrate import upgrade_copy
from .trouble import DatabaseError
from .untouched import has_content, untouched


@attrs.frozen
class Replaced:
    """What must be known of a database that is about to be replaced.

    Attributes:
        following: identifiers from this one upwards were never given.
        buried: identifiers of removed snapshots, whose directories may be deleted.
    """

    following: int
    buried: frozenset[int]


def look_at(path: Path) -> Replaced | None:
    """Read what must not be forgotten of a database, as far as it can be read.

    Args:
        path: of the file; nobody has it open.

    Returns:
        What was found; None if there is no database, or it cannot be read.
    """
    try:
        if not has_content(path):
            return None
        with untouched(path) as database:
            (following,) = database.execute("SELECT next FROM identifiers").fetchone()
            buried = database.execute("SELECT id FROM tombstones").fetchall()
    except (sqlite3.Error, OSError, TypeError):
        return None
    return Replaced(following, frozenset(row[0] for row in buried))


def require_backup(backup: Path) -> None:
    """Make sure that there is something to restore.

    Raises:
        DatabaseError: the file is not there, or empty.
        OSError: it cannot be looked at.
    """
    if not has_content(backup):
        raise DatabaseError(f"{backup} is not there, or empty; nothing was changed")


@contextmanager
def staged(backup: Path, path: Path) -> Iterator[Path]:
    """Copy a backup beside the database, checked and brought to the newest schema.

    Args:
        backup: a database of this program, of this release's schema or an older one.
        path: of the database, which is left alone.

    Yields:
        The copy; it is deleted at the end of the block if it is still there.

    Raises:
        DatabaseError: the backup is none, is damaged, or cannot be copied.
    """
    require_backup(backup)
    copy = path.with_name(f"{path.name}.staged")
    _clear(copy)
    try:
        try:
            with untouched(backup) as source:
                copy_whole(source, copy)
            with closing(sqlite3.connect(copy)) as database:
                lost = database.execute("PRAGMA foreign_key_check").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(
                f"{backup} cannot be restored: {error}; nothing was changed"
            ) from error
        if lost is not None:
            raise DatabaseError(f"{backup} has rows that refer to nothing; nothing was changed")
        try:
            upgrade_copy(copy)
        except DatabaseError as error:
            raise DatabaseError(
                f"{backup} cannot be restored; nothing was changed: {error}"
            ) from error
        yield copy
    finally:
        _clear(copy)


def _clear(copy: Path) -> None:
    for left in copy.parent.glob(f"{copy.name}*"):
        left.unlink(missing_ok=True)
