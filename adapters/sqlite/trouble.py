"""What can go wrong with the database, in the operator's words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from cvmfs_snapshotter.domain.errors import ResourceExhaustedError, UnavailableError

_MEDIUM = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it cannot be written to",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_CANTOPEN: "a file beside it cannot be opened",
    sqlite3.SQLITE_CORRUPT: "it is damaged: stop the daemon and restore a backup",
    sqlite3.SQLITE_NOTADB: "it is damaged: stop the daemon and restore a backup",
}


class DatabaseError(Exception):
    """The database cannot be used; says what was found, what was left alone, and what to do."""


class SchemaError(DatabaseError):
    """The database has another schema than this release needs, and it could not be changed."""


def primary_code(error: BaseException) -> int:
    """Give SQLite's primary result code of a driver's error, 0 if it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the medium into the domain's.

    Raises:
        ResourceExhaustedError: disk full, read-only, broken.
        UnavailableError: another process holds the database.
    """
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        code = primary_code(original) if original is not None else 0
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise UnavailableError("another process holds the database; try again") from error
        if code in _MEDIUM:
            raise ResourceExhaustedError(
                f"the database cannot be used: {_MEDIUM[code]}; nothing was changed"
            ) from error
        raise
