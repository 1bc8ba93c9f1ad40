"""Reading a database without changing a byte of its files."""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_COPY = ".look-"

_WAL_HEADER = 32
"""Bytes before the first frame of a WAL (https://sqlite.org/fileformat2.html, "WAL File
Format")."""


@contextmanager
def untouched(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that may be of a newer release, or damaged, only to look at it.

    An ordinary reader would make the index of the WAL anew, and write the WAL back when it closes.

    Args:
        path: of the file, which must exist; no daemon is using it.

    Raises:
        sqlite3.Error: it is no database, or cannot be read.
        OSError: it cannot be read, or, where a copy has to be made, that cannot be written.
    """
    wal, index, journal = (beside(path, suffix) for suffix in ("-wal", "-shm", "-journal"))
    # One without any frame says nothing; SQLite 3.40 would try ten seconds and give up ("locking
    # protocol") where its index must not be written.
    if not has_content(wal, beyond=_WAL_HEADER) and not has_content(journal):
        with _opened(path, "mode=ro&immutable=1") as database:
            yield database
    elif index.exists() and not has_content(journal):
        # What a killed daemon leaves. SQLite then keeps the index of the WAL in memory.
        with _opened(path, "mode=ro&readonly_shm=1") as database:
            yield database
    else:
        with tempfile.TemporaryDirectory(prefix=_COPY, dir=path.parent) as scratch, _held(scratch):
            for original in (path, wal, journal):
                if original.exists():
                    shutil.copyfile(original, Path(scratch) / original.name)
            with _opened(Path(scratch) / path.name, "mode=rw") as database:
                yield database


def forget_looks(directory: Path) -> None:
    """Delete copies that a program left in a directory because it was killed while it looked.

    Args:
        directory: where databases may be; who looks at one goes on.
    """
    for left in directory.glob(f"{_COPY}*"):
        # What cannot be deleted is in nobody's way, and is tried again.
        with contextlib.suppress(OSError), _held(left):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _held(scratch: str | Path) -> Iterator[None]:
    """Hold a directory for the time of the block, as whoever looks into it does.

    Raises:
        OSError: it is no directory, or somebody else holds it.
    """
    descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def beside(path: Path, suffix: str) -> Path:
    """Give the path of one of SQLite's files beside a database."""
    return path.with_name(f"{path.name}{suffix}")


def has_content(path: Path, beyond: int = 0) -> bool:
    """Tell whether a file is there and has more than so many bytes."""
    return path.exists() and path.stat().st_size > beyond


@contextmanager
def _opened(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?{how}"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as database:
        yield database
