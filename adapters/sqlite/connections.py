"""Connections to the database as the daemon uses them."""

import sqlite3
from pathlib import Path

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
    # A backup that was put back has another journal, in which readers and writers wait for one
    # another and a commit is not as durable. Usually this changes nothing.
    connection.execute("PRAGMA journal_mode=WAL")
    # FULL also in WAL mode: what was answered must survive a power cut.
    connection.execute("PRAGMA synchronous=FULL")
    return connection


class Readers:
    """Connections for reading; whoever finds none gets a new one and never waits.

    SQLAlchemy's pool would cost more than the statements that are run on what it gives.
    """

    def __init__(self, path: Path) -> None:
        """Open nothing yet.

        Args:
            path: of the file, which must exist.
        """
        self._path = path
        # To append and to pop is one step each, whatever other threads do. The one that was used
        # last is taken first: its pages are still there.
        self._idle: list[sqlite3.Connection] = []

    def take(self) -> sqlite3.Connection:
        """Give a connection in autocommit mode, to be given back or closed.

        Raises:
            sqlite3.Error: it cannot be opened.
        """
        try:
            return self._idle.pop()
        except IndexError:
            return connect(self._path)

    def give_back(self, connection: sqlite3.Connection) -> None:
        """End the transaction of a connection, if it is in one, and keep it.

        It is closed where that fails, or many are kept.
        """
        try:
            if connection.in_transaction:
                connection.rollback()
        except sqlite3.Error:
            connection.close()
            return
        if len(self._idle) < _IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close all that are kept; nobody may be reading any more."""
        while self._idle:
            self._idle.pop().close()
