"""What can go wrong with the database, in the operator's words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from cvmfs_snapshotter.domain.errors import ResourceExhaustedError, UnavailableError

_MEDIUM = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it cannot be written to",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_CANTOPEN: "one of its files cannot be opened",
    sqlite3.SQLITE_PERM: "access to one of its files is denied",
}
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class DatabaseError(Exception):
    """The database cannot be used; says what was found, what was left alone, and what to do."""


class SchemaError(DatabaseError):
    """The database has another schema than this release needs, and it could not be changed."""


class DamagedError(ResourceExhaustedError):
    """The database turned out to be damaged while it was in use."""


def primary_code(error: BaseException) -> int:
    """Give SQLite's primary result code of a driver's error, 0 if it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_locked(error: BaseException) -> bool:
    """Tell whether somebody else holds the database."""
    return primary_code(error) in _LOCKED


def is_full(error: BaseException | None) -> bool:
    """Tell whether a transaction found no room on the disk."""
    return error is not None and primary_code(error) == sqlite3.SQLITE_FULL


def must_reopen(error: BaseException | None) -> bool:
    """Tell whether a connection may have been opened when its files could only be read.

    SQLite opens a file for reading where it cannot be written, and stays with that.
    """
    return error is not None and primary_code(error) == sqlite3.SQLITE_READONLY


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the medium into the domain's; any other error of the driver is our defect.

    Raises:
        ResourceExhaustedError: disk full, read-only, broken; out of memory.
        DamagedError: what is on the disk is no sound database.
        UnavailableError: another process has held the database for ``BUSY_SECONDS``.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = primary_code(error)
        if code in _LOCKED:
            raise UnavailableError("another process holds the database; try again") from error
        if code in _DAMAGED:
            raise DamagedError(
                "the database is damaged; nothing was changed: stop the daemon and look at it by "
                "`cvmfs-snapshotter db check`"
            ) from error
        if code in _MEDIUM:
            raise _exhausted(_MEDIUM[code]) from error
        raise
    except MemoryError as error:
        # This is how the driver tells of SQLITE_NOMEM.
        raise _exhausted(_MEDIUM[sqlite3.SQLITE_NOMEM]) from error


def _exhausted(cause: str) -> ResourceExhaustedError:
    return ResourceExhaustedError(f"the database cannot be used: {cause}; nothing was changed")
