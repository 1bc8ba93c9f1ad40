"""Bringing the database to the schema of this release, before anything else opens it.

Alembic is imported in a process of its own and only if there is something to do: it costs more
time than a daemon needs for the rest of its start.
"""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .backup import back_up
from .trouble import DatabaseError, SchemaError

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
        DatabaseError: it is no database, or cannot be read.
    """
    with _alone(path.parent):
        found = revision_of(path)
        if found == REVISIONS[-1]:
            return
        if found is not None and found not in REVISIONS:
            raise SchemaError(
                f"{path} has schema {found!r}, which a newer release made; this one knows up to "
                f"{REVISIONS[-1]!r}. It was left as it is: install that release again, or let it "
                "downgrade the database"
            )
        backup = back_up(path, path.parent / "backups", found) if found is not None else None
        _migrate(path, "upgrade", REVISIONS[-1], backup)


def downgrade(path: Path, revision: str) -> Path:
    """Bring the database back to the schema of an older release.

    Args:
        path: of the file; no daemon may be using it.
        revision: one of ``REVISIONS``.

    Returns:
        The backup that was made before.

    Raises:
        SchemaError: there is no such revision, or the migration failed.
        DatabaseError: it is no database, or cannot be read.
    """
    if revision not in REVISIONS:
        raise SchemaError(f"there is no schema {revision!r}; known are {', '.join(REVISIONS)}")
    with _alone(path.parent):
        found = revision_of(path)
        if found not in REVISIONS:
            raise SchemaError(f"{path} has schema {found!r}, which this release does not know")
        backup = back_up(path, path.parent / "backups", found)
        _migrate(path, "downgrade", revision, backup)
    return backup


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
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
    if not path.exists() or path.stat().st_size == 0:
        return None
    wal = path.with_name(f"{path.name}-wal")
    if not wal.exists() or wal.stat().st_size == 0:
        return _read_revision(path, path)
    # Even a reader writes beside a database that has a WAL, so a copy is read.
    with tempfile.TemporaryDirectory(prefix=".schema-", dir=path.parent) as scratch:
        copy = Path(scratch) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(wal, copy.with_name(wal.name))
        return _read_revision(copy, path, "mode=rw")


def _read_revision(path: Path, shown: Path, mode: str = "immutable=1") -> str | None:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as database:
            tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not tables:
                return None
            row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise DatabaseError(
            f"{shown} cannot be read as a database of this program ({error}). It was left as it "
            f"is: restore one of the backups in {shown.parent / 'backups'}, or move it away to "
            "start empty"
        ) from error
    if row is None:
        raise DatabaseError(f"{shown} does not say which schema it has; it was left as it is")
    return str(row[0])


def _migrate(path: Path, direction: str, revision: str, backup: Path | None) -> None:
    # Isolated: a daemon that runs as root must not import code from wherever it was started.
    command = [sys.executable, "-I", "-m", _WORKER, direction, str(path), revision]
    done = subprocess.run(  # noqa: S603 - our own program
        command, capture_output=True, text=True, timeout=_CHILD_SECONDS, check=False
    )
    if done.returncode != 0:
        kept = f" A backup is {backup}." if backup else ""
        raise SchemaError(
            f"{path} could not be brought to schema {revision!r} and was left as it is: "
            f"{done.stderr.strip() or f'status {done.returncode}'}.{kept}"
        )
