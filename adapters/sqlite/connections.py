"""Connections to the database as the daemon uses them."""

import sqlite3
from pathlib import Path

import sqlalchemy as sa

BUSY_SECONDS = 5.0
"""How long to wait for another process that holds the database: a shell, or a backup."""


def engine_for(path: Path) -> sa.Engine:
    """Make the engine of a database.

    Transactions are begun and ended by whoever uses a connection. Any thread may use one, but one
    at a time.

    Args:
        path: of the file, which must exist.

    Returns:
        The engine; it has no connection yet.
    """

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        # FULL also in WAL mode: what was answered must survive a power cut.
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    return sa.create_engine(
        "sqlite://",
        creator=connect,
        poolclass=sa.pool.NullPool,
        isolation_level="AUTOCOMMIT",
    )
