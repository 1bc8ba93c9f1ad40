"""Transactions that change something, several of them behind one sync of the disk."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import sqlalchemy as sa

from cvmfs_snapshotter.domain.ports.store import Transaction

from .session import SqliteTransaction
from .trouble import translated

T = TypeVar("T")


class _Call(Generic[T]):
    """One operation, and what came of it."""

    def __init__(self, operation: Callable[[Transaction], T]) -> None:
        self.operation = operation
        self.done = False
        self.error: BaseException | None = None
        self._results: list[T] = []

    def run(self, transaction: Transaction) -> None:
        """Run it; what it raises is its result."""
        self._results = []
        self.error = None
        try:
            self._results = [self.operation(transaction)]
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller's thread, not to this
            self.error = error

    def raise_trouble(self) -> None:
        """Raise what it raised, if that was the database's error and not the operation's."""
        if isinstance(self.error, sa.exc.DBAPIError):
            raise self.error

    def result(self) -> T:
        """Give what it returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return self._results[0]


class _LostError(Exception):
    """SQLite has rolled the whole transaction back, savepoints included."""


class Writer:
    """Runs operations on one connection.

    A caller that finds nobody at work runs its operation at once, in its own thread. Those that
    come meanwhile queue up; the first of them to get its turn runs all of theirs in one
    transaction, so that they share its sync.
    """

    def __init__(self, connection: sa.Connection) -> None:
        """Take over a connection in autocommit mode, which any thread may use."""
        self._connection = connection
        self._transaction = SqliteTransaction(connection)
        self._turn = threading.Lock()
        self._queue_lock = threading.Lock()
        self._queue: list[_Call[object]] = []

    def write(self, operation: Callable[[Transaction], T]) -> T:
        """Run an operation; returns when its changes are durable. See ``Store.write``."""
        call = _Call(operation)
        with self._queue_lock:
            self._queue.append(call)  # type: ignore[arg-type]
        with self._turn:
            if not call.done:
                with self._queue_lock:
                    batch, self._queue = self._queue, []
                self._run(batch)
        return call.result()

    def _run(self, batch: Sequence[_Call[object]]) -> None:
        try:
            if len(batch) == 1 or not self._together(batch):
                for call in batch:
                    self._alone(call)
        finally:
            for call in batch:
                call.done = True

    def _together(self, batch: Sequence[_Call[object]]) -> bool:
        """Run all in one transaction; False if it was lost, and nothing has happened."""
        try:
            self._execute("BEGIN IMMEDIATE")
            for call in batch:
                self._execute("SAVEPOINT one")
                call.run(self._transaction)
                self._require_transaction()
                if call.error is not None:
                    self._execute("ROLLBACK TO one")
                self._execute("RELEASE one")
            self._execute("COMMIT")
        except (sa.exc.DBAPIError, _LostError):
            self._roll_back()
            return False
        return True

    def _alone(self, call: _Call[object]) -> None:
        try:
            with translated():
                self._execute("BEGIN IMMEDIATE")
                call.run(self._transaction)
                if call.error is None:
                    self._execute("COMMIT")
            with translated():
                call.raise_trouble()
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            call.error = error
        finally:
            self._roll_back()

    def _execute(self, statement: str) -> None:
        self._connection.exec_driver_sql(statement)

    def _in_transaction(self) -> bool:
        return bool(self._connection.connection.in_transaction)

    def _require_transaction(self) -> None:
        if not self._in_transaction():
            raise _LostError

    def _roll_back(self) -> None:
        if self._in_transaction():
            self._execute("ROLLBACK")
