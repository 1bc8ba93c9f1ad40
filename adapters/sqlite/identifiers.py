"""Identifiers that are never given twice, taken from the database a block at a time."""

import threading

from .writer import Writer

BLOCK = 64
"""Identifiers taken with one write; those left over at the end are never given."""


class Identifiers:
    """Gives identifiers.

    Args:
        writer: makes durable which ones have been taken.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._next = 0
        self._end = 0

    def new(self) -> int:
        """See ``Store.new_identifier``."""
        with self._lock:
            if self._next >= self._end:
                first = self._writer.write(lambda t: t.take_identifiers(BLOCK))
                self._next, self._end = first, first + BLOCK
            self._next += 1
            return self._next - 1

    def raise_above(self, above: int, *, durable: bool) -> None:
        """See ``Store.raise_identifiers``.

        Args:
            above: what all of them must be greater than.
            durable: the records' own counter is above it already.
        """
        with self._lock:
            if above < self._next:
                return
            # The rest of the block may lie below.
            self._next = self._end = 0
            if not durable:
                self._writer.write(lambda t: t.raise_identifiers(above + 1), frees=True)
