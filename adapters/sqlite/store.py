"""The store on SQLite."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cvmfs_snapshotter.domain.errors import SnapshotterError
from cvmfs_snapshotter.domain.ports.store import Records, Transaction

from .connections import Readers, connect
from .identifiers import Identifiers
from .memory import Memory
from .place import Place
from .reading import read_at_one_moment
from .reserve import Reserve
from .trouble import primary_code, translated
from .writer import Writer

T = TypeVar("T")

_NO_ROOM_TO_OPEN = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
"""What SQLite says when it cannot make the WAL or its index."""


class SqliteStore:
    """Implements ``Store`` on a database that has the newest schema."""

    def __init__(
        self,
        path: Path,
        reserve: Reserve | None = None,
        *,
        shared: bool = False,
        before_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the database.

        Args:
            path: of the file; ``migrate.prepare_database`` has made or checked it.
            reserve: is given up where a full disk would keep the store from being opened, or space
                from being freed.
            shared: another process may write to it, so that nothing may be remembered.
            before_waiting: called by every thread that is about to wait for the disk.

        Raises:
            ResourceExhaustedError: it cannot be opened.
            UnavailableError: another process holds it.
            OSError: it is not there.
        """
        self._reserve = reserve
        self._before_waiting = before_waiting
        self._readers = Readers(path)
        self._memory = Memory(0) if shared else Memory()
        self._place = Place(path)
        with translated():
            self._writer = self._open(path)
        self._identifiers = Identifiers(self._writer)

    def _open(self, path: Path) -> Writer:
        while True:
            try:
                return Writer(
                    lambda: connect(path),
                    self._make_room,
                    self._memory.changing,
                    self._memory.named,
                    self._before_waiting,
                )
            except sqlite3.Error as error:
                if primary_code(error) not in _NO_ROOM_TO_OPEN or not self._make_room():
                    raise

    def _make_room(self) -> bool:
        return self._reserve is not None and self._reserve.give_up_some()

    def read(self, operation: Callable[[Records], T]) -> T:
        """See ``Store.read``."""
        self._place.require()
        remembered = self._memory.answer(operation)
        if remembered is not None:
            return remembered[0]
        moment = self._memory.now()
        with translated():
            connection = self._readers.take()
            try:
                result, reading = read_at_one_moment(connection, operation)
            except SnapshotterError:
                self._readers.give_back(connection)
                raise
            except BaseException:
                # A statement that is still running would show its own moment to the next reader.
                connection.close()
                raise
            self._readers.give_back(connection)
        self._memory.keep(moment, reading.noted, reading.names)
        return result

    def write(self, operation: Callable[[Transaction], T], *, frees: bool = False) -> T:
        """See ``Store.write``."""
        self._place.require()
        result = self._writer.write(operation, frees=frees)
        if self._reserve is not None:
            self._reserve.make()
        return result

    def new_identifier(self) -> int:
        """See ``Store.new_identifier``."""
        return self._identifiers.new()

    def raise_identifiers(self, above: int) -> None:
        """See ``Store.raise_identifiers``."""
        following = self.read(lambda r: r.next_identifier())
        self._identifiers.raise_above(above, durable=following > above)

    def close(self) -> None:
        """Close all connections; nobody may be using the store any more."""
        self._readers.close()
        self._writer.close()


def open_store(
    path: Path,
    reserve: Reserve | None = None,
    *,
    shared: bool = False,
    before_waiting: Callable[[], None] = lambda: None,
) -> SqliteStore:
    """Open the store in a database of the newest schema; see ``SqliteStore``."""
    return SqliteStore(path, reserve, shared=shared, before_waiting=before_waiting)
