"""Identifiers that are never given twice, taken from the database a block at a time."""

import threading
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from . import statements

BLOCK = 64
"""Identifiers taken with one write; those left over at the end are never given."""

T = TypeVar("T")


class Identifiers:
    """Gives identifiers.

    Args:
        write: runs a function on a connection inside a durable transaction.
    """

    def __init__(self, write: Callable[[Callable[[sa.Connection], int]], int]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._next = 0
        self._end = 0

    def new(self) -> int:
        """See ``Store.new_identifier``."""
        with self._lock:
            if self._next >= self._end:
                self._next = self._write(_take_block)
                self._end = self._next + BLOCK
            self._next += 1
            return self._next - 1

    def raise_above(self, above: int) -> None:
        """See ``Store.raise_identifiers``."""

        def run(connection: sa.Connection) -> int:
            connection.exec_driver_sql(statements.RAISE_IDENTIFIERS, {"to": above + 1})
            return 0

        with self._lock:
            self._write(run)
            # The rest of the block may lie below.
            self._next = self._end = 0


def _take_block(connection: sa.Connection) -> int:
    first = connection.exec_driver_sql(statements.NEXT_IDENTIFIER).scalar_one()
    connection.exec_driver_sql(statements.RAISE_IDENTIFIERS, {"to": first + BLOCK})
    return int(first)
