"""How many statements a reading takes, and what becomes of its connection."""

import sqlite3
from collections.abc import Callable

import pytest

from cvmfs_snapshotter.adapters.sqlite import SqliteStore
from cvmfs_snapshotter.domain.errors import NotFoundError, ResourceExhaustedError
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.ports.store import Records
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot

TARGET = "sha256:" + "a" * 64


@pytest.fixture
def connection(store: SqliteStore) -> sqlite3.Connection:
    """Give the connection on which the next reading runs."""
    store.read(lambda r: r.source_paths())
    return store._readers._idle[-1]


@pytest.fixture
def seen(connection: sqlite3.Connection) -> list[str]:
    """Take note of the first word of every statement of readings."""
    words: list[str] = []
    connection.set_trace_callback(lambda statement: words.append(statement.split()[0]))
    return words


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(lambda r: r.get("nothing"), id="get"),
        pytest.param(lambda r: r.get_with_remote("k", 1, TARGET), id="get with remote"),
        pytest.param(lambda r: r.page(Pins(parent="p", target=TARGET), None, 9), id="after a hit"),
    ],
)
def test_what_is_asked_for_each_layer_is_one_statement(
    store: SqliteStore, seen: list[str], operation: Callable[[Records], object]
) -> None:
    """It needs no transaction: a statement is of one moment by itself."""
    store.read(operation)

    assert ["SELECT"] == seen


def test_several_statements_are_one_transaction(
    store: SqliteStore, connection: sqlite3.Connection, seen: list[str]
) -> None:
    """An operation that goes on after its first statement is begun again, and ended."""
    moments: list[object] = []

    def look(records: Records) -> bool:
        moments.append(records.get("nothing"))
        store.write(lambda t: t.keep_source_path(f"s{len(moments)}", "/p"))
        return len(records.source_paths()) == len(moments) - 1

    assert store.read(look)
    assert ["SELECT", "BEGIN", "SELECT", "SELECT", "ROLLBACK"] == seen
    assert [connection] == store._readers._idle


def test_an_error_of_the_domain_leaves_the_connection(
    store: SqliteStore, connection: sqlite3.Connection
) -> None:
    """An operation that refuses what it read has ended well, with one statement or more."""
    for questions in (1, 2):

        def refuse(records: Records, questions: int = questions) -> None:
            for _ in range(questions):
                records.get("nothing")
            raise NotFoundError("nothing")

        with pytest.raises(NotFoundError):
            store.read(refuse)
        assert [connection] == store._readers._idle
        assert not connection.in_transaction


def test_an_error_of_the_database_takes_the_connection(
    store: SqliteStore, connection: sqlite3.Connection
) -> None:
    """What it would show to the next reader is not known."""
    full = sqlite3.OperationalError("seeded")
    full.sqlite_errorcode = sqlite3.SQLITE_IOERR

    def fail(records: Records) -> None:
        records.get("nothing")
        raise full

    with pytest.raises(ResourceExhaustedError, match="disk reports an error"):
        store.read(fail)
    assert [] == store._readers._idle
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_the_next_reader_sees_what_was_written_meanwhile(store: SqliteStore) -> None:
    """A reading that ended leaves no old moment behind on its connection."""
    for name in ("a", "b"):
        made = Snapshot(store.new_identifier(), name, 0, "", Kind.ACTIVE, 1, 1, {})
        assert not store.read(lambda r, name=name: r.page(Pins(name=name), None, 1))  # type: ignore[misc]
        store.write(lambda t, made=made: t.insert(made))  # type: ignore[misc]
        assert [made] == list(store.read(lambda r, name=name: r.page(Pins(name=name), None, 1)))  # type: ignore[misc]
