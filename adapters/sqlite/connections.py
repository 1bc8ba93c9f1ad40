"""Connections to the database as the daemon uses them."""

import sqlite3
from pathlib import Path
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection

BUSY_SECONDS = 5.0
"""How long to wait for another process that holds the database: a shell, or a backup."""

_IDLE = 32
"""How many connections stay open between reads."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the database.

    Transactions are begun and ended by whoever uses the connection. Any thread may use it, one at
    a time.

    Args:
        path: of the file, which must exist.

    Returns:
        The connection, in autocommit mode.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
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


def pool_for(path: Path) -> sa.pool.Pool:
    """Make the pool from which readers take connections.

    It never makes anybody wait: a reader that finds none gets a new one. What comes back is rolled
    back, or thrown away where that fails.

    Args:
        path: of the file, which must exist.
    """

    def create() -> DBAPIConnection:
        return cast("DBAPIConnection", connect(path))

    return sa.pool.QueuePool(create, pool_size=_IDLE, max_overflow=-1, use_lifo=True)


def driver_of(pooled: sa.PoolProxiedConnection) -> sqlite3.Connection:
    """Give the driver's connection behind one of a pool.

    Statements are compiled once, so that SQLAlchemy's own execution would only cost time.
    """
    return cast("sqlite3.Connection", pooled.driver_connection)
