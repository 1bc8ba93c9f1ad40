"""What the store remembers: never anything that the database does not hold."""

import threading
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.adapters.sqlite import SqliteStore, memory, open_store
from cvmfs_snapshotter.adapters.sqlite.changes import Changes
from cvmfs_snapshotter.adapters.sqlite.memory import Memory
from cvmfs_snapshotter.adapters.sqlite.session import SqliteRecords
from cvmfs_snapshotter.domain.companions import Names
from cvmfs_snapshotter.domain.errors import FailedPreconditionError
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.ports.store import Records, Transaction
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot, Usage


def _snapshot(number: int, parent: int = 0, **labels: str) -> Snapshot:
    below = f"n{parent}" if parent else ""
    return Snapshot(number, f"n{number}", parent, below, Kind.COMMITTED, 1, 1, labels)


def _insert(store: SqliteStore, *snapshots: Snapshot) -> None:
    def insert(transaction: Transaction) -> None:
        for snapshot in snapshots:
            transaction.insert(snapshot)

    store.write(insert)


def _get(name: str) -> Callable[[Records], Snapshot | None]:
    return lambda records: records.get(name)


@pytest.fixture
def chain() -> Memory:
    """Remember a chain of three."""
    made = Memory()
    made.keep(made.now(), [_snapshot(1), _snapshot(2, 1), _snapshot(3, 2)])
    return made


def test_what_was_read_is_remembered(chain: Memory) -> None:
    """Records and whole chains are answered without the database."""
    assert (_snapshot(2, 1),) == chain.answer(_get("n2"))
    assert ((_snapshot(3, 2), _snapshot(2, 1), _snapshot(1)),) == chain.answer(
        lambda r: r.chain(3)
    )


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(_get("other"), id="another name"),
        pytest.param(lambda r: r.chain(4), id="another chain"),
        pytest.param(lambda r: r.has_children(1), id="children"),
        pytest.param(lambda r: r.get_with_remote("", 0, "")[1], id="a remote snapshot"),
        pytest.param(lambda r: r.unmeasured(1), id="what is not measured"),
    ],
)
def test_the_rest_is_for_the_database(
    chain: Memory, operation: Callable[[SqliteRecords], object]
) -> None:
    """What is not remembered is not said to be missing: the database has to be asked."""
    assert chain.answer(operation) is None


def test_a_gap_in_a_chain_is_for_the_database(chain: Memory) -> None:
    """A chain of which a part was forgotten is not given as a shorter one."""
    with chain.changing(Changes({2})):
        pass

    assert chain.answer(lambda r: r.chain(3)) is None


def test_a_changed_snapshot_is_forgotten_before_the_commit(chain: Memory) -> None:
    """From the beginning of a commit, what it changes is asked of the database."""
    with chain.changing(Changes({2})):
        assert chain.answer(_get("n2")) is None
        assert (_snapshot(1),) == chain.answer(_get("n1"))


def test_nothing_is_kept_of_a_commit_that_goes_on(chain: Memory) -> None:
    """What somebody reads while it is being committed may be old a moment later."""
    with chain.changing(Changes({2})):
        chain.keep(chain.now(), [_snapshot(2, 1), _snapshot(9)])
        assert chain.answer(_get("n2")) is None
        assert (_snapshot(9),) == chain.answer(_get("n9"))


def test_a_reading_is_not_kept_across_a_change(chain: Memory) -> None:
    """What was read before a commit ended is not remembered after it."""
    before = chain.now()
    with chain.changing(Changes({2})):
        during = chain.now()

    for moment in (before, during):
        chain.keep(moment, [_snapshot(2, 1)])
        assert chain.answer(_get("n2")) is None


@pytest.mark.parametrize("raises", [False, True], ids=["answer", "error"])
def test_an_answer_across_a_change_does_not_count(chain: Memory, raises: bool) -> None:
    """An answer whose parts may be of two moments is asked of the database instead."""

    def slow(records: SqliteRecords) -> Snapshot | None:
        found = records.get("n1")
        with chain.changing(Changes({1})):
            pass
        if raises:
            raise FailedPreconditionError("found something old")
        return found

    assert chain.answer(slow) is None


def test_an_error_counts_like_an_answer(chain: Memory) -> None:
    """An operation that finds a record and refuses is answered without the database."""

    def refuse(records: SqliteRecords) -> None:
        records.get("n1")
        raise FailedPreconditionError("no")

    with pytest.raises(FailedPreconditionError):
        chain.answer(refuse)


def test_a_failed_commit_leaves_the_memory_usable(chain: Memory) -> None:
    """After a commit that failed, what is read is remembered again."""
    with pytest.raises(OSError, match="disk"), chain.changing(Changes({2})):
        raise OSError("disk")
    chain.keep(chain.now(), [_snapshot(2, 1)])

    assert (_snapshot(2, 1),) == chain.answer(_get("n2"))


def test_the_memory_is_bounded() -> None:
    """The oldest go when it is full, and labels without measure are not remembered."""
    small = Memory(2)
    small.keep(0, [_snapshot(n) for n in (1, 2, 3)])
    small.keep(0, [_snapshot(4, large="x" * (memory.LABEL_CHARACTERS + 1))])

    assert [None, (_snapshot(2),), (_snapshot(3),), None] == [
        small.answer(_get(f"n{n}")) for n in (1, 2, 3, 4)
    ]


def _readings(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Take note of every reading of a store that reaches the database from now on."""
    seen: list[object] = []
    take = store._readers.take

    def counted() -> object:
        seen.append(None)
        return take()

    monkeypatch.setattr(store._readers, "take", counted)
    return seen


def test_reads_need_no_statement_twice(
    store: SqliteStore, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read once does not reach the database again."""
    first, second = store.new_identifier(), store.new_identifier()
    below, above = _snapshot(first), _snapshot(second, first)
    _insert(store, below, above)
    again = open_store(database)
    try:
        readings = _readings(again, monkeypatch)
        for _ in range(2):
            assert (above, below) == again.read(lambda r: r.chain(second))
            assert above == again.read(_get(above.name))
            assert [None] == readings
    finally:
        again.close()


def test_what_was_written_needs_no_statement(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot is remembered once its record is durable, new or changed, under its own name."""
    readings = _readings(store, monkeypatch)
    first, second = store.new_identifier(), store.new_identifier()
    below, above = _snapshot(first), _snapshot(second, first)
    _insert(store, below, above)
    assert (above, below) == store.read(lambda r: r.chain(second))
    changed = attrs.evolve(above, name="renamed", labels={"a": "b"})
    store.write(lambda t: t.replace(changed))
    assert changed == store.read(_get("renamed"))
    assert [] == readings

    assert store.read(_get(above.name)) is None
    store.write(lambda t: t.bury(second))
    assert store.read(_get("renamed")) is None


def test_only_the_last_of_several_changes_is_remembered(store: SqliteStore) -> None:
    """What one transaction inserts and buries, or changes twice, is as the database has it."""
    first, second = store.new_identifier(), store.new_identifier()

    def change(transaction: Transaction) -> None:
        transaction.insert(_snapshot(first))
        transaction.insert(_snapshot(second))
        transaction.bury(first)
        transaction.replace(_snapshot(second, turn="2"))
        transaction.measure(second, Usage(5, 1))

    store.write(change)

    assert store.read(_get(f"n{first}")) is None
    expected = attrs.evolve(_snapshot(second, turn="2"), usage=Usage(5, 1))
    assert expected == store.read(_get(f"n{second}"))


def test_nothing_is_remembered_of_a_commit_that_failed(chain: Memory) -> None:
    """What was to be written is not there."""
    with pytest.raises(OSError, match="disk"), chain.changing(Changes({4}, {4: _snapshot(4)})):
        raise OSError("disk")

    assert chain.answer(_get("n4")) is None


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(_snapshot(9, 8), id="unknown parent"),
        pytest.param(attrs.evolve(_snapshot(9, 1), parent="other"), id="other name"),
        pytest.param(attrs.evolve(_snapshot(9), parent="n1"), id="name without parent"),
    ],
)
def test_a_snapshot_whose_parent_is_not_known_is_read_first(
    chain: Memory, written: Snapshot
) -> None:
    """The name of a parent is what the parent's own record says, which may not be remembered."""
    with chain.changing(Changes({9}, {9: written})):
        pass

    assert chain.answer(_get("n9")) is None


def test_a_transaction_sees_its_own_changes(store: SqliteStore) -> None:
    """What is remembered from before does not hide what the transaction has done itself."""
    number = store.new_identifier()
    _insert(store, _snapshot(number))
    seen: list[Snapshot | None] = []

    def change(transaction: Transaction) -> None:
        seen.append(transaction.get(f"n{number}"))
        transaction.replace(_snapshot(number, turn="2"))
        seen.append(transaction.get(f"n{number}"))
        transaction.bury(number)
        seen.append(transaction.get(f"n{number}"))

    store.write(change)

    assert [_snapshot(number), _snapshot(number, turn="2"), None] == seen


def test_a_shared_database_is_not_remembered(database: Path, store: SqliteStore) -> None:
    """Beside a process that writes, every reading is the database's own."""
    number = store.new_identifier()
    store.write(lambda t: t.insert(_snapshot(number)))
    beside = open_store(database, shared=True)
    try:
        assert _snapshot(number) == beside.read(_get(f"n{number}"))
        store.write(lambda t: t.bury(number))
        assert beside.read(_get(f"n{number}")) is None
    finally:
        beside.close()


def test_readers_beside_a_writer_see_what_was_answered(store: SqliteStore) -> None:
    """No reader gets less than was answered before it asked, nor halves of two changes."""
    numbers = [store.new_identifier() for _ in range(2)]
    _insert(store, *map(_snapshot, numbers))
    answered, failures = 0, []
    done = threading.Event()

    def both(records: Records) -> list[int]:
        found = [records.get(f"n{number}") for number in numbers]
        return [int(one.labels.get("turn", "0")) for one in found if one is not None]

    def look() -> None:
        while not done.is_set():
            least = answered
            seen = store.read(both)
            if len(set(seen)) != 1 or seen[0] < least:
                failures.append((least, seen))

    def change(transaction: Transaction, turn: int) -> None:
        for number in numbers:
            transaction.replace(_snapshot(number, turn=str(turn)))

    readers = [threading.Thread(target=look) for _ in range(4)]
    for reader in readers:
        reader.start()
    for turn in range(1, 100):
        store.write(lambda t, turn=turn: change(t, turn))  # type: ignore[misc]
        answered = turn
    done.set()
    for reader in readers:
        reader.join()

    assert [] == failures


_LAYER = Layer("s", Digest("a" * 64))


def _names_in(records: Records) -> Names | None:
    return records.names_in(_LAYER)


def test_names_are_remembered_until_they_are_recorded_anew(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the names in a layer say is read once, and once more after each change of it."""
    readings = _readings(store, monkeypatch)
    for count in (1, 2):
        names = Names(entries=count, markers=(b".wh.x",), stamp=f"{count}")
        store.write(lambda t, names=names: t.keep_names(_LAYER, names))  # type: ignore[misc]
        for _ in range(2):
            assert names == store.read(_names_in)
        assert count == len(readings)


def test_names_are_not_kept_beside_a_commit_that_changes_them(chain: Memory) -> None:
    """What is read before it ends may be old a moment later; names of other layers are not."""
    other = Layer("t", _LAYER.digest)
    with chain.changing(Changes(layers={_LAYER})):
        chain.keep(chain.now(), [], {_LAYER: Names(1), other: Names(2)})
        during = chain.now()
    chain.keep(during, [], {_LAYER: Names(1)})

    assert chain.answer(_names_in) is None
    assert (Names(2),) == chain.answer(lambda r: r.names_in(other))


def test_few_and_small_names_are_remembered() -> None:
    """The oldest go when it is full, and a layer with many names in question is not remembered."""
    small, layers = Memory(2), [Layer("s", Digest(f"{n}" * 64)) for n in range(4)]
    for layer in layers[:3]:
        small.keep(0, [], {layer: Names(1)})
    small.keep(0, [], {layers[3]: Names(1, markers=(b".wh.x",) * (memory.PATHS + 1))})

    assert [None, (Names(1),), (Names(1),), None] == [
        small.answer(lambda r, layer=layer: r.names_in(layer))  # type: ignore[misc]
        for layer in layers
    ]
