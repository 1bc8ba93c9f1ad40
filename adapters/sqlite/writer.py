"""Transactions that change something, several of them behind one sync of the disk."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from cvmfs_snapshotter.domain.snapshot import Snapshot

from .changes import Changes
from .session import SqliteTransaction
from .trouble import is_full, is_locked, must_reopen, translated

T = TypeVar("T")


class _Call(Generic[T]):
    """One operation, and what came of it."""

    def __init__(self, operation: Callable[[SqliteTransaction], T], *, frees: bool) -> None:
        self._operation = operation
        self.frees = frees
        self._results: list[T] = []
        self.done = False
        self.error: BaseException | None = None

    def run(self, transaction: SqliteTransaction) -> None:
        """Run it, for the second time perhaps; what it raises is kept for its caller."""
        self._results.clear()
        self.error = None
        try:
            self._results.append(self._operation(transaction))
        except KeyboardInterrupt:
            # Meant for the thread that runs it, whosever operation it is.
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised again in its caller's thread
            self.error = error

    def result(self) -> T:
        """Give what it returned, or raise what it raised."""
        if self.error is not None:
            with translated():
                raise self.error
        return self._results[0]


class _LostError(sqlite3.OperationalError):
    """SQLite has rolled the whole transaction back."""

    sqlite_errorcode = sqlite3.SQLITE_FULL


class Writer:
    """Runs operations on one connection.

    A caller that finds nobody at work runs its operation at once, in its own thread. Those that
    come meanwhile queue up; the first of them to get its turn runs all of theirs in one
    transaction, so that they share its sync.
    """

    def __init__(
        self,
        open_connection: Callable[[], sqlite3.Connection],
        make_room: Callable[[], bool],
        changing: Callable[[Changes], AbstractContextManager[None]],
        remembered: Callable[[str], Snapshot | None],
        before_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the connection.

        Args:
            open_connection: gives one in autocommit mode that any thread may use; called again
                should it break.
            make_room: gives up what is set aside for a full disk; tells whether there was any.
            changing: is around every commit, with what has changed.
            remembered: see ``SqliteTransaction``.
            before_waiting: called by every thread that is about to wait for the disk.

        Raises:
            sqlite3.Error: what ``open_connection`` raises.
        """
        self._open = open_connection
        self._make_room = make_room
        self._changing = changing
        self._before_waiting = before_waiting
        self._remembered = remembered
        self._changes = Changes()
        self.connection = open_connection()
        self._broken = False
        self._turn = threading.Lock()
        self._at_work: int | None = None
        self._queue_lock = threading.Lock()
        self._queue: list[_Call[Any]] = []

    def write(self, operation: Callable[[SqliteTransaction], T], *, frees: bool = False) -> T:
        """Run an operation; returns when its changes are durable. See ``Store.write``."""
        if self._at_work == threading.get_ident():
            raise RuntimeError("a write inside a write would wait for itself")
        self._before_waiting()
        call = _Call(operation, frees=frees)
        try:
            with self._queue_lock:
                self._queue.append(call)
            with self._turn:
                if not call.done:
                    self._lead(call)
        except BaseException:
            # Its caller has given up: nobody must carry it out later.
            with self._queue_lock:
                self._queue = [other for other in self._queue if other is not call]
            raise
        return call.result()

    def close(self) -> None:
        """Close the connection; nobody may be writing any more."""
        self.connection.close()

    def _lead(self, own: _Call[T]) -> None:
        with self._queue_lock:
            batch, self._queue = self._queue, []
        # Not there if a leader was torn away between taking the queue and working on it.
        if own not in batch:
            batch.append(own)
        self._at_work = threading.get_ident()
        try:
            self._run(batch)
        finally:
            self._at_work = None
            unsettled = [call for call in batch if not call.done]
            if unsettled:
                with self._queue_lock:
                    self._queue[:0] = unsettled

    def _run(self, batch: Sequence[_Call[Any]]) -> None:
        if len(batch) > 1 and self._together(batch):
            return
        for call in batch:
            self._alone(call)
            if is_full(call.error):
                self._with_room(call)

    def _together(self, batch: Sequence[_Call[Any]]) -> bool:
        """Run all in one transaction; False if it was lost or spoilt, and nothing has happened."""
        try:
            self._begin()
            for call in batch:
                before = self.connection.total_changes
                call.run(self._transaction())
                self._require_transaction()
                if call.frees and is_full(call.error):
                    # By itself it gets room.
                    return False
                if call.error is not None and self.connection.total_changes != before:
                    # Only the end of a transaction undoes what it has changed. A savepoint for
                    # each would cost all of them more than this does the few.
                    return False
            self._commit(batch)
        except (sqlite3.Error, MemoryError) as error:
            if not is_locked(error):
                return False
            # Each would wait as long again, one after the other.
            _fail(batch, error)
        finally:
            self._roll_back()
        return True

    def _with_room(self, call: _Call[Any]) -> None:
        """Run a call again that found no room: in the WAL's own, then in what is set aside."""
        while True:
            # Once all of the WAL is in the database, the next transaction overwrites it.
            self._write_back()
            self._alone(call)
            if not (is_full(call.error) and call.frees and self._make_room()):
                return

    def _write_back(self) -> None:
        if not self._broken:
            with contextlib.suppress(sqlite3.Error):
                self._execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _alone(self, call: _Call[Any]) -> None:
        call.done = False
        try:
            self._begin()
            call.run(self._transaction())
            if call.error is None:
                self._require_transaction()
                self._commit([call])
        except (sqlite3.Error, MemoryError) as error:
            call.error = error
        finally:
            self._roll_back()
        call.done = True
        if must_reopen(call.error):
            self._give_connection_up()

    def _begin(self) -> None:
        if self._broken:
            self.connection = self._open()
            self._broken = False
        self._changes.clear()
        self._execute("BEGIN IMMEDIATE")

    def _transaction(self) -> SqliteTransaction:
        return SqliteTransaction(self.connection, self._changes, self._remembered)

    def _commit(self, calls: Sequence[_Call[Any]]) -> None:
        try:
            with self._changing(self._changes):
                self._execute("COMMIT")
            _settle(calls)
        except (sqlite3.Error, MemoryError):
            # The driver's word for SQLITE_NOMEM is MemoryError; the transaction is lost then.
            raise
        except BaseException:
            # An interrupt may come when it is done already: what is durable must not run again.
            if not self.connection.in_transaction:
                _settle(calls)
            raise

    def _require_transaction(self) -> None:
        if not self.connection.in_transaction:
            raise _LostError

    def _roll_back(self) -> None:
        if self._broken or not self.connection.in_transaction:
            return
        try:
            self._execute("ROLLBACK")
        except sqlite3.Error:
            # Whatever state it is in, this ends its transaction.
            self._give_connection_up()

    def _give_connection_up(self) -> None:
        if not self._broken:
            self._broken = True
            self.connection.close()

    def _execute(self, statement: str) -> None:
        self.connection.execute(statement)


def _settle(calls: Sequence[_Call[Any]]) -> None:
    for call in calls:
        call.done = True


def _fail(calls: Sequence[_Call[Any]], error: Exception) -> None:
    for call in calls:
        call.error = error
        call.done = True
