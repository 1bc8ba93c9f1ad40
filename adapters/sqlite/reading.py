"""Reading from the database, all of it as of one moment."""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from cvmfs_snapshotter.domain.companions import Names
from cvmfs_snapshotter.domain.layer import Layer
from cvmfs_snapshotter.domain.snapshot import Snapshot

from .session import SqliteRecords

T = TypeVar("T")


class _SeveralStatementsError(Exception):
    """An operation has more than one statement, which needs a transaction."""


class Reading(SqliteRecords):
    """Reads from the database, and takes note of what can be remembered.

    Attributes:
        noted: snapshots that were read.
        names: what the names in layers that were read say.
    """

    def __init__(self, connection: sqlite3.Connection, statements: int | None = None) -> None:
        """Begin.

        Args:
            connection: is read from.
            statements: how many there may be; None for any number.
        """
        super().__init__(connection)
        self.noted: list[Snapshot] = []
        self.names: dict[Layer, Names] = {}
        self._left = statements

    def get(self, name: str) -> Snapshot | None:
        """See ``Records.get``."""
        found = super().get(name)
        if found is not None:
            self.noted.append(found)
        return found

    def chain(self, identifier: int) -> tuple[Snapshot, ...]:
        """See ``Records.chain``."""
        found = super().chain(identifier)
        self.noted.extend(found)
        return found

    def names_in(self, layer: Layer) -> Names | None:
        """See ``Records.names_in``."""
        found = super().names_in(layer)
        if found is not None:
            self.names[layer] = found
        return found

    def _run(self, statement: str, **parameters: object) -> sqlite3.Cursor:
        if self._left is not None:
            if not self._left:
                raise _SeveralStatementsError
            self._left -= 1
        return super()._run(statement, **parameters)


def read_at_one_moment(
    connection: sqlite3.Connection, operation: Callable[[SqliteRecords], T]
) -> tuple[T, Reading]:
    """Run a reading operation.

    Most have one statement, which is of one moment by itself. Those that turn out to have several
    are begun again in a transaction, which costs two more.

    Args:
        connection: in autocommit mode, and perhaps in a transaction afterwards, which has to be
            ended. After an error other than one of the domain it is of no further use.
        operation: reads, has no other effect, and may run twice.

    Returns:
        What the operation returned, and what it read.

    Raises:
        sqlite3.Error: a statement failed.
    """
    records = Reading(connection, 1)
    try:
        return operation(records), records
    except _SeveralStatementsError:
        pass
    records = Reading(connection)
    connection.execute("BEGIN")
    return operation(records), records
