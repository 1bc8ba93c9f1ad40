"""A writer that is torn away: nothing is half done, done twice or believed done."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from cvmfs_snapshotter.adapters.sqlite import SqliteStore
from cvmfs_snapshotter.domain.errors import UnavailableError
from cvmfs_snapshotter.domain.ports.store import Transaction


class Batch:
    """Callers that queue up behind one that takes its time."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.outcomes: dict[str, BaseException | None] = {}
        self.threads: list[threading.Thread] = []
        self.go_on = threading.Event()
        started = threading.Event()

        def slow(_: Transaction) -> None:
            started.set()
            self.go_on.wait(10)

        self.add("first", slow, queued=False)
        assert started.wait(10)

    def add(
        self, name: str, operation: Callable[[Transaction], None], *, queued: bool = True
    ) -> None:
        """Start a caller; the order of the queue is that of these calls."""

        def run() -> None:
            try:
                self.store.write(operation)
            except BaseException as error:  # noqa: BLE001 - looked at by the test
                self.outcomes[name] = error
            else:
                self.outcomes[name] = None

        before = len(self.store._writer._queue)
        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()
        while queued and len(self.store._writer._queue) == before:
            time.sleep(0.001)

    def finish(self) -> None:
        """Let all of them go, and wait until they are done."""
        self.go_on.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


def keeping(name: str, runs: list[str] | None = None) -> Callable[[Transaction], None]:
    """Make an operation that records something, and counts how often it is run."""

    def operation(transaction: Transaction) -> None:
        if runs is not None:
            runs.append(name)
        transaction.keep_source_path(name, "/p")

    return operation


def kept(store: SqliteStore) -> set[str]:
    """Tell what was recorded."""
    return set(store.read(lambda r: r.source_paths()))


def interrupt(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, wanted: str, *, after: bool
) -> None:
    """Interrupt the writer at a statement of the batch that forms behind the first caller."""
    plain = store._writer._execute
    # The first caller has begun, and has its commit before it.
    ahead = 1 if wanted == "COMMIT" else 0
    seen: list[str] = []

    def execute(statement: str) -> None:
        seen.append(statement)
        hit = statement == wanted and seen.count(wanted) == ahead + 1
        if hit and not after:
            raise KeyboardInterrupt
        plain(statement)
        if hit:
            raise KeyboardInterrupt

    monkeypatch.setattr(store._writer, "_execute", execute)


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "COMMIT"])
def test_an_interrupt_hits_the_thread_that_works(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """Its own operation is not carried out; those of the others are, by themselves."""
    batch = Batch(store)
    for name in ("a", "b", "c"):
        batch.add(name, keeping(name))
    interrupt(store, monkeypatch, statement, after=False)
    batch.finish()

    torn = {name for name, error in batch.outcomes.items() if error is not None}
    assert 1 == len(torn)
    assert torn < {"a", "b", "c"}
    assert [KeyboardInterrupt] == [type(batch.outcomes[name]) for name in torn]
    assert {"a", "b", "c"} - torn == kept(store)


def test_an_interrupt_after_the_commit_repeats_nothing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is durable is not run again, and the others hear that it is done."""
    batch = Batch(store)
    runs: list[str] = []
    for name in ("a", "b", "c"):
        batch.add(name, keeping(name, runs))
    interrupt(store, monkeypatch, "COMMIT", after=True)
    batch.finish()

    assert ["a", "b", "c"] == runs
    assert {"a", "b", "c"} == kept(store)
    assert 1 == len([error for error in batch.outcomes.values() if error is not None])


def test_an_operation_cannot_write_through_the_store(store: SqliteStore) -> None:
    """It would wait for itself for ever; it is told so instead."""
    with pytest.raises(RuntimeError, match="wait for itself"):
        store.write(lambda _: store.write(lambda _: None))
    store.write(keeping("a"))
    assert {"a"} == kept(store)


def test_an_operation_that_is_given_up_is_not_run_later(store: SqliteStore) -> None:
    """A caller that was interrupted while it waited has undone its part already."""
    batch = Batch(store)
    turn = store._writer._turn

    class Interrupted:
        def __enter__(self) -> None:
            raise KeyboardInterrupt

        def __exit__(self, *_: object) -> None:
            raise AssertionError("never entered")

    store._writer._turn = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        store.write(keeping("given up"))
    store._writer._turn = turn
    batch.finish()
    store.write(keeping("later"))
    assert {"later"} == kept(store)


def test_a_broken_connection_is_replaced(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When not even a rollback is possible, the next writer gets a new connection."""
    plain = store._writer._execute

    def execute(statement: str) -> None:
        if statement in {"COMMIT", "ROLLBACK"}:
            error = sqlite3.OperationalError("seeded")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        plain(statement)

    monkeypatch.setattr(store._writer, "_execute", execute)
    with pytest.raises(Exception, match="the disk reports an error"):
        store.write(keeping("lost"))
    monkeypatch.undo()

    store.write(keeping("kept"))
    assert {"kept"} == kept(store)


def test_a_database_held_by_somebody_else_is_told_to_all(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wait together wait once, not one after the other; readers go on."""
    store._writer.connection.execute("PRAGMA busy_timeout=300")
    batch = Batch(store)
    for name in ("a", "b", "c", "d"):
        batch.add(name, keeping(name))
    path = store._writer.connection.execute("PRAGMA database_list").fetchone()[2]
    begin = store._writer._begin
    holding: list[sqlite3.Connection] = []

    def hold() -> None:
        if not holding:
            holding.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
            holding[0].execute("BEGIN IMMEDIATE")
        begin()

    monkeypatch.setattr(store._writer, "_begin", hold)
    started = time.monotonic()
    batch.finish()
    took = time.monotonic() - started

    assert {"a", "b", "c", "d"} == {
        name for name, e in batch.outcomes.items() if isinstance(e, UnavailableError)
    }
    assert took < 4 * 0.3
    assert set() == kept(store)
    holding[0].close()
    store.write(keeping("now"))
    assert {"now"} == kept(store)


def test_a_connection_waits_for_others(store: SqliteStore) -> None:
    """A backup or a shell that holds the database for a moment is no error."""
    path = store._writer.connection.execute("PRAGMA database_list").fetchone()[2]
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, lambda: other.execute("ROLLBACK"))
        release.start()
        store.write(keeping("a"))
        release.join()
    assert {"a"} == kept(store)
