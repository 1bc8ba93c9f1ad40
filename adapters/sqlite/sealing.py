"""Making one whole file of a database that nobody has open any more."""

import os
from contextlib import closing
from pathlib import Path

from .connections import connect
from .trouble import DatabaseError, translated
from .untouched import beside


def seal(path: Path) -> None:
    """Bring everything into the file itself, durably, so that it can be renamed alone.

    The last connection that closes does so too, but does not tell when it fails
    (https://sqlite.org/wal.html, "Avoiding Excessively Large WAL Files"): the records stay in the
    WAL then.

    Args:
        path: of the file; nobody has it open.

    Raises:
        ResourceExhaustedError: the medium is full, or fails.
        DatabaseError: it is damaged, somebody has it open, or a file beside it stays.
        OSError: it cannot be made durable.
    """
    with translated(), closing(connect(path)) as database:
        busy, *_frames = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if busy:
        raise DatabaseError(f"{path} is held by another process")
    if verdict != "ok":
        raise DatabaseError(f"{path} is damaged: {verdict}")
    for suffix in ("-wal", "-journal"):
        if beside(path, suffix).exists():
            raise DatabaseError(f"{path} is not whole: {path.name}{suffix} stayed beside it")
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
