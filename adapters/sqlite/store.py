"""The store on SQLite."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cvmfs_snapshotter.domain.ports.store import Records, Transaction

from .connections import connect, driver_of, pool_for
from .identifiers import Identifiers
from .session import SqliteRecords
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
        self._pool = pool_for(path)
        with translated():
            self._writer = Writer(lambda: connect(path))
        self._identifiers = Identifiers(self._writer)

    def read(self, operation: Callable[[Records], T]) -> T:
        """See ``Store.read``."""
        with translated():
            pooled = self._pool.connect()
            try:
                connection = driver_of(pooled)
                connection.execute("BEGIN")
                return operation(SqliteRecords(connection))
            finally:
                pooled.close()

    def write(self, operation: Callable[[Transaction], T]) -> T:
        """See ``Store.write``."""
        return self._writer.write(operation)

    def new_identifier(self) -> int:
        """See ``Store.new_identifier``."""
        return self._identifiers.new()

    def raise_identifiers(self, above: int) -> None:
        """See ``Store.raise_identifiers``."""
        self._identifiers.raise_above(above)

    def close(self) -> None:
        """Close all connections; nobody may be using the store any more."""
        self._pool.dispose()
        self._writer.close()


def open_store(path: Path) -> SqliteStore:
    """Open the store in a database of the newest schema; see ``SqliteStore``."""
    return SqliteStore(path)
