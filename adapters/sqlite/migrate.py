"""Bringing the database to the schema of this release, before anything else opens it.

Alembic is imported in a process of its own and only if there is something to do: it costs more
time than a daemon needs for the rest of its start.
"""

import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .advice import PROGRAM, command, ways_on
from .backup import back_up
from .replacing import finish_restore
from .trouble import DatabaseError, SchemaError, is_locked
from .untouched import beside, forget_looks, has_content, untouched
from .wal_index import missing_frames

REVISIONS = ("0001",)
"""Every revision that this release knows, oldest first; the last one is the schema it needs."""

_WORKER = "cvmfs_snapshotter.migrations"
_CHILD_SECONDS = 3600.0


def prepare_database(path: Path) -> None:
    """Make the database, or bring it to the newest schema; usually there is nothing to do.

    A database is never changed before its schema is known, and backed up before it is migrated. A
    migration that fails leaves it as it was.

    Args:
        path: of the file; its directory exists.

    Raises:
        SchemaError: a newer release wrote it, or a migration failed.
        DatabaseError: it is no database of ours, is damaged, or cannot be read or backed up.
    """
    with _alone(path) as lock:
        for directory in (path.parent, path.parent / "backups"):
            forget_looks(directory)
        finish_restore(path)
        _require_complete(path)
        found = revision_of(path)
        if found is not None and found not in REVISIONS:
            raise SchemaError(
                f"{path} has schema {found!r}, which a newer release made; this one knows up to "
                f"{REVISIONS[-1]!r}. It was left as it is: install that release again, or run it "
                f"once more to go back: {command(path, 'downgrade', REVISIONS[-1])}"
            )
        if found is not None:
            _require_sound(path)
        if found == REVISIONS[-1]:
            return
        backup = back_up(path, path.parent / "backups", found) if found is not None else None
        _migrate(path, "upgrade", REVISIONS[-1], backup, lock)
        if found is None:
            _sync_names(path, lock)


def _sync_names(path: Path, directory: int) -> None:
    """Make sure that a new database, and the directory it is in, are found after a power cut."""
    try:
        os.fsync(directory)
        above = os.open(path.parent.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(above)
        finally:
            os.close(above)
    except OSError as error:
        raise DatabaseError(f"{path} could not be made durable: {error.strerror}") from error


def downgrade(path: Path, revision: str) -> Path:
    """Bring the database back to the schema of an older release.

    Args:
        path: of the file; no daemon may be using it.
        revision: one of ``REVISIONS``.

    Returns:
        The backup that was made before.

    Raises:
        SchemaError: there is no such revision, or the migration failed.
        DatabaseError: it is no database of ours, or cannot be read or backed up.
    """
    if revision not in REVISIONS:
        raise SchemaError(f"there is no schema {revision!r}; known are {', '.join(REVISIONS)}")
    with _alone(path) as lock:
        found = revision_of(path)
        if found not in REVISIONS:
            raise SchemaError(f"{path} has schema {found!r}, which this release does not know")
        if REVISIONS.index(revision) > REVISIONS.index(found):
            raise SchemaError(f"{path} has schema {found!r}, which is older than {revision!r}")
        backup = back_up(path, path.parent / "backups", found)
        _migrate(path, "downgrade", revision, backup, lock)
    return backup


def upgrade_copy(path: Path) -> None:
    """Bring a copy of a database, which nobody else knows of, to the newest schema.

    Args:
        path: of the copy.

    Raises:
        SchemaError: a newer release wrote it, or the migration failed.
        DatabaseError: it is no database of ours, or cannot be read.
    """
    found = revision_of(path)
    if found not in REVISIONS:
        raise SchemaError(f"it has schema {found!r}, which this release does not know")
    if found != REVISIONS[-1]:
        with _alone(path) as lock:
            _migrate(path, "upgrade", REVISIONS[-1], None, lock)


@contextmanager
def _alone(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise DatabaseError(f"{path.parent} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def revision_of(path: Path) -> str | None:
    """Read the schema of a database without changing a byte of its files.

    Args:
        path: of the file.

    Returns:
        The revision; None if there is no database yet.

    Raises:
        DatabaseError: it is no database of ours, or cannot be read.
    """
    if not has_content(path):
        wal = beside(path, "-wal")
        if has_content(wal):
            raise DatabaseError(
                f"{path} is missing or empty, but {wal} is there with changes to it. Nothing was "
                f"touched: bring {path.name} back, or move the other file away to start empty"
            )
        return None
    with _readable(path), untouched(path) as database:
        if database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            return None
        rows = database.execute("SELECT version_num FROM alembic_version").fetchall()
    if len(rows) != 1:
        raise DatabaseError(f"{path} does not say which schema it has; it was left as it is")
    return str(rows[0][0])


def _require_complete(path: Path) -> None:
    try:
        missing = missing_frames(path)
    except OSError as error:
        raise DatabaseError(f"the files of {path} cannot be read: {error.strerror}") from error
    if missing:
        wal, index = beside(path, "-wal"), beside(path, "-shm")
        raise DatabaseError(
            f"{wal} is missing or was cut short: {missing} changed pages that were in it are "
            f"in no other file. Nothing was touched. Bring it back as it was. Or accept the loss: "
            f"move {index} away, start, and look by `{PROGRAM} reconcile`. {ways_on(path)}"
        )


def _require_sound(path: Path) -> None:
    with _readable(path), untouched(path) as database:
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != ("ok",):
            raise sqlite3.DatabaseError(verdict[0])


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatabaseError(
            f"{path} cannot be read: {error.strerror}; it was left as it is"
        ) from error
    except sqlite3.Error as error:
        if is_locked(error):
            raise DatabaseError(
                f"{path} is held by another process; nothing was touched. `fuser {path}` shows "
                "which: end it, and start again"
            ) from error
        raise DatabaseError(
            f"{path} cannot be read as a database of this program ({error}). It was left as it "
            f"is. {ways_on(path)}"
        ) from error


def _migrate(path: Path, direction: str, revision: str, backup: Path | None, lock: int) -> None:
    # Isolated: a daemon that runs as root must not import code from wherever it was started.
    command = [sys.executable, "-I", "-m", _WORKER, direction, str(path), revision]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_CHILD_SECONDS,
            check=False,
            # Should this process die, the next one waits until the child is done.
            pass_fds=(lock,),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        cause = str(error)
    else:
        cause = done.stderr.strip() or f"status {done.returncode}" if done.returncode else ""
    if not cause and revision_of(path) != revision:
        cause = f"it has schema {revision_of(path)!r} afterwards"
    if cause:
        kept = f" A backup is {backup}." if backup else ""
        raise SchemaError(
            f"{path} could not be brought to schema {revision!r} and was left as it is: "
            f"{cause}.{kept}"
        )
