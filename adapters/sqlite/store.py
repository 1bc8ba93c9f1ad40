"""The store on SQLite."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cvmfs_snapshotter.domain.ports.store import Records, Transaction

from .connections import Readers, connect
from .identifiers import Identifiers
from .memory import Memory, Reading
from .trouble import translated
from .writer import Writer

T = TypeVar("T")


class SqliteStore:
    """Implements ``Store`` on a database that has the newest schema."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        """Open the database.

        Args:
            path: of the file; ``migrate.prepare_database`` has made or checked it.
            shared: another process may write to it, so that nothing may be remembered.

        Raises:
            ResourceExhaustedError: it cannot be opened.
        """
        self._readers = Readers(path)
        self._memory = Memory(0) if shared else Memory()
        with translated():
            self._writer = Writer(lambda: connect(path), self._memory.changing)
        self._identifiers = Identifiers(self._writer)

    def read(self, operation: Callable[[Records], T]) -> T:
        """See ``Store.read``."""
        remembered = self._memory.answer(operation)
        if remembered is not None:
            return remembered[0]
        moment = self._memory.now()
        with translated():
            connection = self._readers.take()
            try:
                records = Reading(connection)
                result = operation(records)
            finally:
                self._readers.give_back(connection)
        self._memory.keep(moment, records.noted)
        return result

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
        self._readers.close()
        self._writer.close()


def open_store(path: Path, *, shared: bool = False) -> SqliteStore:
    """Open the store in a database of the newest schema; see ``SqliteStore``."""
    return SqliteStore(path, shared=shared)
