"""Both stores and a model, driven side by side through changes, failures and restarts."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cvmfs_snapshotter.adapters.memory import MemoryStore
from cvmfs_snapshotter.adapters.sqlite import SqliteStore, open_store
from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.layer import Digest, Layer, Reason
from cvmfs_snapshotter.domain.ports.store import Position, Store, Transaction
from cvmfs_snapshotter.domain.snapshot import NOTHING_LOCAL, Kind, Snapshot, Usage
from cvmfs_snapshotter.domain.wishes import Wish

WORDS = ("a", "b", "c", "k8s.io/1/x y", "\0")
NAMES = st.sampled_from(WORDS)
TARGETS = st.sampled_from(["sha256:" + "1" * 64, "sha256:" + "2" * 64])


class StoreMachine(RuleBasedStateMachine):
    """The model is what a dictionary would do."""

    new_database: Callable[[Path], Path]

    @initialize()
    def start(self) -> None:
        """Begin with empty stores."""
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.new_database(self.directory)
        self.sqlite: SqliteStore = open_store(self.path)
        self.memory = MemoryStore()
        self.model: dict[int, Snapshot] = {}
        self.tombs: set[int] = set()
        self.last = 0

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "sqlite"):
            self.sqlite.close()
            shutil.rmtree(self.directory)

    def both(self, operation: Callable[[Transaction], None]) -> type[Exception] | None:
        """Run one operation on both; they must agree on how it ends."""
        ends: list[type[Exception] | None] = []
        for store in (self.memory, self.sqlite):
            end: type[Exception] | None = None
            try:
                store.write(operation)
            except (AlreadyExistsError, LookupError) as error:
                end = type(error)
            ends.append(end)
        assert ends[0] == ends[1]
        return ends[0]

    def new_identifier(self) -> int:
        """Take the next identifier of the database, which is above all before."""
        identifier = self.sqlite.new_identifier()
        assert identifier > self.last
        self.last = identifier
        return identifier

    def parents(self) -> list[Snapshot | None]:
        """Give what can be stood on."""
        return [None, *(s for s in self.model.values() if s.kind is Kind.COMMITTED)]

    @rule(
        data=st.data(),
        name=NAMES,
        kind=st.sampled_from(Kind),
        wanted=TARGETS,
        is_remote=st.booleans(),
        fails=st.booleans(),
    )
    def insert(  # noqa: PLR0917
        self,
        data: st.DataObject,
        name: str,
        kind: Kind,
        wanted: str,
        is_remote: bool,
        fails: bool,
    ) -> None:
        """Insert a snapshot, in an operation that may fail afterwards."""
        parent = data.draw(st.sampled_from(self.parents()))
        number = parent.identifier if parent else 0
        is_remote = is_remote and kind is Kind.COMMITTED
        made = Snapshot(
            identifier=self.new_identifier(),
            name=name,
            parent_identifier=number,
            parent=parent.name if parent else "",
            kind=kind,
            created_at=self.last,
            updated_at=self.last,
            labels={label_rules.TARGET: wanted},
            layer=Layer("s", Digest("d" * 64)) if is_remote else None,
            usage=NOTHING_LOCAL if is_remote else None,
        )
        there = any(
            s.remote and (s.parent_identifier, s.target) == (number, wanted)
            for s in self.model.values()
        )

        def operation(transaction: Transaction) -> None:
            found = transaction.get_with_remote("", number, wanted)[1] is not None
            assert found == there
            if is_remote and found:
                return
            transaction.insert(made)
            if fails:
                raise LookupError

        end = self.both(operation)
        if is_remote and there:
            assert end is None
        elif any(s.name == name for s in self.model.values()):
            assert end is AlreadyExistsError
        elif fails:
            assert end is LookupError
        else:
            self.model[made.identifier] = made

    @precondition(lambda self: self.model)
    @rule(data=st.data(), name=NAMES, wanted=TARGETS)
    def replace(self, data: st.DataObject, name: str, wanted: str) -> None:
        """Rename a snapshot that nothing stands on, and change its label if it is local."""
        childless = [s for s in self.model.values() if not self.children(s)]
        before = data.draw(st.sampled_from(childless))
        labels = before.labels if before.remote else {label_rules.TARGET: wanted}
        after = attrs.evolve(before, name=name, labels=labels)
        taken = any(s.name == name and s is not before for s in self.model.values())
        end = self.both(lambda t: t.replace(after))
        assert (AlreadyExistsError if taken else None) == end
        if not taken:
            self.model[before.identifier] = after

    def children(self, snapshot: Snapshot) -> list[Snapshot]:
        """Give what stands on a snapshot."""
        return [s for s in self.model.values() if s.parent_identifier == snapshot.identifier]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        """Remove a snapshot that nothing stands on."""
        childless = [s for s in self.model.values() if not self.children(s)]
        gone = data.draw(st.sampled_from(childless))
        self.both(lambda t: t.bury(gone.identifier))
        del self.model[gone.identifier]
        self.tombs.add(gone.identifier)

    @precondition(lambda self: self.tombs)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        """Forget a tombstone."""
        gone = data.draw(st.sampled_from(sorted(self.tombs)))
        self.both(lambda t: t.forget_tombstones([gone]))
        self.tombs.remove(gone)

    @rule(size=st.integers(0, 2**40))
    def measure(self, size: int) -> None:
        """Record the usage of everything that has none."""
        for identifier in self.sqlite.read(lambda r: r.unmeasured(100)):
            self.both(lambda t, i=identifier: t.measure(i, Usage(size, 1)))  # type: ignore[misc]
            before = self.model[identifier]
            self.model[identifier] = attrs.evolve(before, usage=Usage(size, 1))

    @rule(
        wishes=st.lists(
            st.builds(
                Wish,
                image=st.sampled_from(["", "r.io/a:1"]),
                digest=st.sampled_from([Digest("1" * 64), Digest("2" * 64)]),
                reason=st.sampled_from([Reason.ABSENT, Reason.SLOW]),
                count=st.integers(1, 3),
                first_seen_at=st.integers(1, 4),
                last_seen_at=st.integers(4, 8),
            ),
            max_size=6,
        ),
        most=st.integers(1, 6),
        came_true=st.lists(st.sampled_from([Digest("1" * 64), Digest("3" * 64)])),
    )
    def wish(self, wishes: list[Wish], most: int, came_true: list[Digest]) -> None:
        """Remember missed layers and forget some, in one transaction."""

        def operation(transaction: Transaction) -> None:
            transaction.forget_wishes(came_true)
            transaction.add_wishes(wishes, most)

        self.both(operation)
        assert len(self.memory.read(lambda r: r.wishes())) <= most

    @rule()
    def restart(self) -> None:
        """Open the database anew."""
        self.sqlite.close()
        self.sqlite = open_store(self.path)

    @rule()
    def crash(self) -> None:
        """Go on with the files as a power cut would have left them just now."""
        after = Path(tempfile.mkdtemp(dir=self.directory))
        for file in self.path.parent.glob(f"{self.path.name}*"):
            shutil.copyfile(file, after / file.name)
        self.sqlite.close()
        self.path = after / self.path.name
        self.sqlite = open_store(self.path)

    @invariant()
    def agree(self) -> None:
        """Both stores say what the model says, in every way of asking."""
        if not hasattr(self, "sqlite"):
            return
        expected = sorted(self.model.values(), key=Position.of)
        stores: tuple[Store, ...] = (self.memory, self.sqlite)
        assert self.memory.read(lambda r: r.wishes()) == self.sqlite.read(lambda r: r.wishes())
        for store in stores:
            assert expected == list(store.read(lambda r: r.page(Pins(), None, 1000)))
            assert sorted(self.tombs) == list(store.read(lambda r: r.tombstones(0, 1000)))
            for snapshot in expected:
                assert snapshot == store.read(lambda r, s=snapshot: r.get(s.name))  # type: ignore[misc]
                chain = store.read(lambda r, s=snapshot: r.chain(s.identifier))  # type: ignore[misc]
                assert snapshot == chain[0]
                assert 0 == chain[-1].parent_identifier
                found = store.read(lambda r, s=snapshot: r.has_children(s.identifier))  # type: ignore[misc]
                assert bool(self.children(snapshot)) == found
            for word in set(WORDS) - {snapshot.name for snapshot in expected}:
                assert store.read(lambda r, w=word: r.get(w)) is None  # type: ignore[misc]


def test_the_stores_agree(new_database: Callable[[Path], Path]) -> None:
    """Whatever is done to them, the two stores give the same answers as the model."""

    class Machine(StoreMachine):
        pass

    Machine.new_database = staticmethod(new_database)
    run_state_machine_as_test(Machine, settings=settings(stateful_step_count=30))
