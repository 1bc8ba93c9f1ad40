"""The store on SQLite."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from cvmfs_snapshotter.domain.ports.store import Records, Transaction

from .connections import engine_for
from .identifiers import Identifiers
from .session import SqliteRecords, SqliteTransaction
from .trouble import translated
from .writer import Writer

T = TypeVar("T")


class SqliteStore:
    """Implements ``Store`` on a database that has the newest schema."""

    def __init__(self, path: Path) -> None:
        """Open the database.

        Args:
            path: of the file; ``migrate.prepare_database`` has made or checked it.

        Raises:
            ResourceExhaustedError: it cannot be opened.
        """
        self._engine = engine_for(path)
        with translated():
            self._writing = self._engine.connect()
        self._writer = Writer(self._writing)
        self._identifiers = Identifiers(self._write_raw)
        self._idle: list[sa.Connection] = []
        self._idle_lock = threading.Lock()

    def read(self, operation: Callable[[Records], T]) -> T:
        """See ``Store.read``."""
        with translated():
            connection = self._take()
            try:
                connection.exec_driver_sql("BEGIN")
                result = operation(SqliteRecords(connection))
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                # In whatever state it is: a broken connection must not be given to the next one.
                connection.close()
                raise
            with self._idle_lock:
                self._idle.append(connection)
            return result

    def _take(self) -> sa.Connection:
        with self._idle_lock:
            if self._idle:
                return self._idle.pop()
        return self._engine.connect()

    def write(self, operation: Callable[[Transaction], T]) -> T:
        """See ``Store.write``."""
        return self._writer.write(operation)

    def _write_raw(self, run: Callable[[sa.Connection], int]) -> int:
        def operation(transaction: Transaction) -> int:
            if not isinstance(transaction, SqliteTransaction):
                raise TypeError("a transaction of another store")
            return run(transaction.connection)

        return self._writer.write(operation)

    def new_identifier(self) -> int:
        """See ``Store.new_identifier``."""
        return self._identifiers.new()

    def raise_identifiers(self, above: int) -> None:
        """See ``Store.raise_identifiers``."""
        self._identifiers.raise_above(above)

    def close(self) -> None:
        """Close all connections; nobody may be using the store any more."""
        with self._idle_lock:
            for connection in (*self._idle, self._writing):
                connection.close()
            self._idle.clear()
        self._engine.dispose()


def open_store(path: Path) -> SqliteStore:
    """Open the store in a database of the newest schema; see ``SqliteStore``."""
    return SqliteStore(path)
