"""Writers that share a sync, and what happens when their transaction is lost."""

import sqlite3
import threading
import time
from collections.abc import Callable

import attrs
import pytest

from cvmfs_snapshotter.adapters.sqlite import SqliteStore
from cvmfs_snapshotter.domain.errors import (
    AlreadyExistsError,
    ResourceExhaustedError,
    UnavailableError,
)
from cvmfs_snapshotter.domain.ports.store import Transaction
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot


class Spy:
    """Sees every statement of the writer, and can make one fail."""

    def __init__(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        self.trouble: Callable[[str], BaseException | None] = lambda _: None
        plain = store._writer._execute

        def execute(statement: str) -> None:
            self.seen.append(statement)
            error = self.trouble(statement)
            if error is not None:
                raise error
            plain(statement)

        monkeypatch.setattr(store._writer, "_execute", execute)


@pytest.fixture
def spy(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Watch the writer of the store."""
    return Spy(store, monkeypatch)


def driver_error(code: int) -> sqlite3.OperationalError:
    """Make an error as the driver raises it for a result code of SQLite."""
    error = sqlite3.OperationalError("seeded")
    error.sqlite_errorcode = code
    return error


def in_parallel(*work: Callable[[], object]) -> None:
    """Run functions at the same time."""
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def keep(store: SqliteStore, number: int) -> None:
    """Write one thing."""
    store.write(lambda t: t.keep_source_path(f"s{number}", "/p"))


def batch(store: SqliteStore, *others: Callable[[], object]) -> None:
    """Have writers queue up behind one that takes its time, so that they form one batch."""
    started, go_on = threading.Event(), threading.Event()

    def slow(_: Transaction) -> None:
        started.set()
        go_on.wait(10)

    def release() -> None:
        while len(store._writer._queue) < len(others):
            time.sleep(0.001)
        go_on.set()

    first = threading.Thread(target=lambda: store.write(slow))
    first.start()
    started.wait(10)
    in_parallel(*others, release)
    first.join(10)


def test_a_lone_writer_is_one_transaction(store: SqliteStore, spy: Spy) -> None:
    """One operation is one transaction, run by its own thread."""
    here: list[int] = []
    store.write(lambda _: here.append(threading.get_ident()))

    assert ["BEGIN IMMEDIATE", "COMMIT"] == spy.seen
    assert [threading.get_ident()] == here


def test_waiting_writers_share_one_commit(store: SqliteStore, spy: Spy) -> None:
    """Eight that queue up while another writes are one transaction, and all become durable."""
    batch(store, *(lambda n=n: keep(store, n) for n in range(8)))

    assert 2 == spy.seen.count("COMMIT")
    assert 8 == len(store.read(lambda r: r.source_paths()))


def test_a_failing_writer_leaves_the_rest_of_its_batch(store: SqliteStore, spy: Spy) -> None:
    """Its changes are undone: each of the batch gets a transaction of its own."""
    caught: list[str] = []

    def fail() -> None:
        def operation(transaction: Transaction) -> None:
            transaction.keep_source_path("lost", "/p")
            raise KeyError("mine")

        try:
            store.write(operation)
        except KeyError as error:
            caught.append(error.args[0])

    batch(store, lambda: keep(store, 1), fail, lambda: keep(store, 2))

    assert ["mine"] == caught
    assert {"s1", "s2"} == set(store.read(lambda r: r.source_paths()))
    assert (3, 2) == (spy.seen.count("COMMIT"), spy.seen.count("ROLLBACK"))


def test_a_refusing_writer_shares_the_commit_of_its_batch(store: SqliteStore, spy: Spy) -> None:
    """One that fails before it has changed anything costs the others nothing."""
    made = Snapshot(store.new_identifier(), "taken", 0, "", Kind.ACTIVE, 1, 1, {})
    store.write(lambda t: t.insert(made))
    spy.seen.clear()
    refused: list[str] = []

    def conflict() -> None:
        with pytest.raises(AlreadyExistsError):
            store.write(lambda t: t.insert(attrs.evolve(made, identifier=77)))
        refused.append("taken")

    batch(store, lambda: keep(store, 1), conflict, lambda: keep(store, 2))

    assert ["taken"] == refused
    assert {"s1", "s2"} == set(store.read(lambda r: r.source_paths()))
    assert made == store.read(lambda r: r.get("taken"))
    assert ["BEGIN IMMEDIATE", "COMMIT"] * 2 == spy.seen


@pytest.mark.parametrize("lost_at", ["BEGIN IMMEDIATE", "COMMIT"])
def test_a_lost_batch_is_run_again_one_by_one(store: SqliteStore, spy: Spy, lost_at: str) -> None:
    """When the transaction of several is lost, each gets one of its own and none is lost."""
    failures: list[str] = []

    def lose(statement: str) -> BaseException | None:
        started = spy.seen.count("BEGIN IMMEDIATE")
        if statement == lost_at and started == 2 and not failures:
            failures.append(statement)
            return driver_error(sqlite3.SQLITE_FULL)
        return None

    spy.trouble = lose
    batch(store, *(lambda n=n: keep(store, n) for n in range(4)))

    assert [lost_at] == failures
    assert 4 == len(store.read(lambda r: r.source_paths()))
    assert 5 == spy.seen.count("COMMIT") - (lost_at == "COMMIT")


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        (sqlite3.SQLITE_FULL, ResourceExhaustedError, "disk is full"),
        (sqlite3.SQLITE_IOERR, ResourceExhaustedError, "disk reports an error"),
        (sqlite3.SQLITE_READONLY, ResourceExhaustedError, "cannot be written"),
        (sqlite3.SQLITE_CORRUPT, ResourceExhaustedError, "damaged"),
        (sqlite3.SQLITE_PERM, ResourceExhaustedError, "access to one of its files is denied"),
        (sqlite3.SQLITE_BUSY, UnavailableError, "another process"),
        (sqlite3.SQLITE_PROTOCOL, UnavailableError, "another process"),
    ],
)
def test_trouble_at_the_commit_changes_nothing(
    store: SqliteStore, spy: Spy, code: int, error: type[Exception], says: str
) -> None:
    """The caller hears of it in the domain's words, and the next write works."""
    spy.trouble = lambda s: driver_error(code) if s == "COMMIT" else None
    with pytest.raises(error, match=says):
        keep(store, 1)
    spy.trouble = lambda _: None

    assert {} == store.read(lambda r: r.source_paths())
    keep(store, 2)
    assert ["s2"] == list(store.read(lambda r: r.source_paths()))


def test_trouble_inside_an_operation_changes_nothing(store: SqliteStore) -> None:
    """An error of the database raised by a statement is told like one at the commit."""

    def full(transaction: Transaction) -> None:
        transaction.keep_source_path("s", "/p")
        raise driver_error(sqlite3.SQLITE_FULL)

    with pytest.raises(ResourceExhaustedError, match="disk is full"):
        store.write(full)
    assert {} == store.read(lambda r: r.source_paths())


def test_a_full_database_takes_nothing_and_recovers(store: SqliteStore) -> None:
    """SQLite's own limit of pages stands for a full disk: an error, then service again."""
    connection = store._writer.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    big = "x" * 100_000

    def fill() -> None:
        store.write(lambda t: t.keep_source_path("big", big))

    with pytest.raises(ResourceExhaustedError, match="disk is full"):
        fill()
    assert {} == store.read(lambda r: r.source_paths())
    connection.execute("PRAGMA max_page_count=1000000")
    fill()
    assert {"big": big} == store.read(lambda r: r.source_paths())


def test_a_base_exception_strands_nobody(store: SqliteStore) -> None:
    """Those that wait behind a thread that is torn down still get their turn."""

    class Torn(BaseException):
        pass

    def tear() -> None:
        def operation(_: Transaction) -> None:
            raise Torn

        with pytest.raises(Torn):
            store.write(operation)

    in_parallel(*[tear, lambda: keep(store, 1)] * 4)
    assert ["s1"] == list(store.read(lambda r: r.source_paths()))
