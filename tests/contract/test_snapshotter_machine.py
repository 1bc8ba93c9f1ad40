"""A snapshotter in memory, one on disk and a model, driven side by side, with restarts."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.memory import (
    MemoryClock,
    MemoryCompanions,
    MemoryDirectories,
    MemoryEvents,
    MemoryPatterns,
    MemorySources,
    MemoryStore,
)
from cvmfs_snapshotter.adapters.sqlite import SqliteStore
from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    SnapshotterError,
    UnavailableError,
)
from cvmfs_snapshotter.domain.layer import Digest, Reason
from cvmfs_snapshotter.domain.mounts import Layout
from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter
from cvmfs_snapshotter.domain.ports.store import Store
from cvmfs_snapshotter.domain.snapshot import NOTHING_LOCAL, Kind, Snapshot
from cvmfs_snapshotter.domain.usecases import upkeep
from cvmfs_snapshotter.domain.usecases.context import Context
from cvmfs_snapshotter.domain.usecases.snapshotter import LayerSnapshotter

KEYS = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "k8s.io/1/x y", ""])
TARGETS = [Digest(c * 64) for c in "12"]
LABELS = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["", "1", "2"]))
BLOB = Digest("b" * 64)
HEALTHY = "healthy"


@attrs.define
class Entry:
    """What the model knows of a snapshot."""

    kind: Kind
    parent: str
    labels: dict[str, str]
    remote: bool = False


def kept(labels: dict[str, str]) -> dict[str, str]:
    """Give the labels that are stored."""
    return {key: value for key, value in labels.items() if value}


class Noting(SqliteStore):
    """Notes the identifiers it gives."""

    def __init__(self, path: Path, given: list[int]) -> None:
        super().__init__(path)
        self.given = given

    def new_identifier(self) -> int:
        """See ``Store.new_identifier``."""
        self.given.append(super().new_identifier())
        return self.given[-1]


class Following(MemoryStore):
    """Gives the identifiers that another store has given, so that names are the same."""

    def __init__(self, given: list[int]) -> None:
        super().__init__()
        self.given = given

    def new_identifier(self) -> int:
        """See ``Store.new_identifier``."""
        return self.given.pop(0)


class SnapshotterMachine(RuleBasedStateMachine):
    """Every call must end alike on all three."""

    new_database: Callable[[Path], Path]
    provided_on_parents = 0
    measured = 0

    @initialize()
    def start(self) -> None:
        """Begin with nothing."""
        self.scratch = tempfile.TemporaryDirectory()
        self.root = Path(self.scratch.name)
        self.database = self.new_database(self.root)
        self.clock = MemoryClock()
        self.sources = MemorySources()
        self.sources.publish("unpacked", BLOB)
        self.given: list[int] = []
        self.memory = self.context(Following(self.given), MemoryDirectories())
        self.disk_store: SqliteStore | None = None
        self.restart()
        self.model: dict[str, Entry] = {}

    def context(self, store: Store, directories: MemoryDirectories | DiskDirectories) -> Context:
        """Put a context together."""
        return Context(
            store,
            directories,
            MemoryCompanions(),
            self.sources,
            self.clock,
            MemoryEvents(),
            MemoryPatterns(),
            Layout(str(self.root)),
        )

    @rule(place=st.sampled_from(["/cvmfs/unpacked", "/moved", "/a,b", "/c:d"]))
    def restart(self, place: str = "/cvmfs/unpacked") -> None:
        """Stop the one on disk and start it again, as the daemon does; the source may move.

        Some of the places cannot stand in the options of a mount.
        """
        self.sources.hosts["unpacked"] = place
        if self.disk_store is not None:
            self.disk_store.close()
        self.disk_store = Noting(self.database, self.given)
        directories = DiskDirectories(str(self.root))
        directories.prepare()
        self.disk = self.context(self.disk_store, directories)
        upkeep.adopt_orphans(self.disk)
        for context in (self.memory, self.disk):
            upkeep.follow_sources(context, dict(self.sources.hosts))
        assert self.disk_store.read(lambda r: r.source_paths())
        self.given.clear()
        # What was not measured before is measured then.
        self.measure()

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "disk_store") and self.disk_store is not None:
            self.disk_store.close()
            self.scratch.cleanup()

    def both(
        self, call: Callable[[Snapshotter], object], expected: type[SnapshotterError] | None
    ) -> None:
        """Make one call on both; it must end as the model says."""
        self.clock.nanoseconds += 1
        for context in (self.disk, self.memory):
            ended: type[SnapshotterError] | None = None
            try:
                call(LayerSnapshotter(context))
            except SnapshotterError as error:
                ended = type(error)
            assert expected is ended
        assert [] == self.given

    def refusal(self, key: str, parent: str) -> type[SnapshotterError] | None:
        """Say why a new snapshot is refused, if it is."""
        if not key:
            return InvalidArgumentError
        if parent and parent not in self.model:
            return NotFoundError
        if parent and self.model[parent].kind is not Kind.COMMITTED:
            return InvalidArgumentError
        if key in self.model:
            return AlreadyExistsError
        if self.unreachable(parent):
            return UnavailableError
        return None

    def unreachable(self, name: str) -> bool:
        """Tell whether a remote layer in a chain cannot be reached."""
        while name:
            if self.model[name].remote and self.sources.faults:
                return True
            name = self.model[name].parent
        return False

    def some_parent(self, data: st.DataObject) -> str:
        """Draw a parent, mostly one that is there."""
        good = sorted(n for n, e in self.model.items() if e.kind is Kind.COMMITTED)
        return data.draw(st.sampled_from(["", "none", *good, *good, *sorted(self.model)]))

    @rule(data=st.data(), key=KEYS, labels=LABELS, view=st.booleans())
    def make(self, data: st.DataObject, key: str, labels: dict[str, str], *, view: bool) -> None:
        """Prepare or view."""
        parent = self.some_parent(data)
        refusal = self.refusal(key, parent)
        if view:
            self.both(lambda s: s.view(key, parent, labels), refusal)
        else:
            self.both(lambda s: s.prepare(key, parent, labels), refusal)
        if refusal is None:
            kind = Kind.VIEW if view else Kind.ACTIVE
            self.model[key] = Entry(kind, parent, kept(labels))

    @rule(data=st.data(), key=KEYS, wanted=st.sampled_from(TARGETS), published=st.booleans())
    def pull(self, data: st.DataObject, key: str, wanted: Digest, *, published: bool) -> None:
        """Prepare with a target, which is there or not."""
        parent = self.some_parent(data)
        blob = BLOB if published else Digest("c" * 64)
        labels = {label_rules.TARGET: str(wanted), label_rules.LAYER_DIGEST: str(blob)}
        refusal = self.refusal(key, parent)
        there = self.remote_of(parent, wanted)
        hit = (published or there) and not self.sources.faults
        expected = refusal or (AlreadyExistsError if hit else None)
        self.both(lambda s: s.prepare(key, parent, labels), expected)
        if refusal is not None:
            return
        if not hit:
            self.model[key] = Entry(Kind.ACTIVE, parent, labels)
        elif not there:
            found = [
                s
                for batch in LayerSnapshotter(self.memory).list([f'parent=="{parent}"'])
                for s in batch
                if s.remote and s.target == str(wanted)
            ]
            assert 1 == len(found)
            marked = {**labels, label_rules.MARKER: str(BLOB)}
            self.model[found[0].name] = Entry(Kind.COMMITTED, parent, marked, remote=True)
            type(self).provided_on_parents += bool(parent)

    def remote_of(self, parent: str, wanted: Digest) -> bool:
        """Tell whether the model has a remote snapshot of parent and target."""
        return any(
            e.remote and e.parent == parent and e.labels[label_rules.TARGET] == str(wanted)
            for e in self.model.values()
        )

    @rule(data=st.data(), name=KEYS, labels=LABELS)
    def commit(self, data: st.DataObject, name: str, labels: dict[str, str]) -> None:
        """Commit something, mostly what is active, now and then with a parent."""
        active = sorted(n for n, e in self.model.items() if e.kind is Kind.ACTIVE)
        key = data.draw(st.sampled_from([*active, *active, *sorted(self.model), "none", ""]))
        parent = data.draw(st.sampled_from(["", "", "none", *sorted(self.model)]))
        expected: type[SnapshotterError] | None = None
        entry = self.model.get(key)
        if not name or not key:
            expected = InvalidArgumentError
        elif name in self.model:
            expected = AlreadyExistsError
        elif entry is None:
            expected = NotFoundError
        elif entry.kind is not Kind.ACTIVE:
            expected = FailedPreconditionError
        elif parent and parent != entry.parent:
            if entry.parent:
                expected = InvalidArgumentError
            elif parent not in self.model:
                expected = NotFoundError
            elif self.model[parent].kind is not Kind.COMMITTED:
                expected = FailedPreconditionError
        self.both(lambda s: s.commit(name, key, labels, parent), expected)
        if expected is None and entry is not None:
            del self.model[key]
            self.model[name] = Entry(Kind.COMMITTED, parent or entry.parent, kept(labels))

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Remove something, children or not."""
        key = data.draw(st.sampled_from(["none", *sorted(self.model)]))
        expected: type[SnapshotterError] | None = None
        if key not in self.model:
            expected = NotFoundError
        elif any(e.parent == key for e in self.model.values()):
            expected = FailedPreconditionError
        self.both(lambda s: s.remove(key), expected)
        if expected is None:
            del self.model[key]

    @rule(data=st.data(), labels=LABELS, paths=st.sets(st.sampled_from(["x", "y", "z"])))
    def update(self, data: st.DataObject, labels: dict[str, str], paths: set[str]) -> None:
        """Set, delete and replace labels."""
        name = data.draw(st.sampled_from(["none", *sorted(self.model)]))
        mask = [f"labels.{path}" for path in sorted(paths)]
        self.both(
            lambda s: s.update(name, labels, mask),
            None if name in self.model else NotFoundError,
        )
        if name not in self.model:
            return
        entry = self.model[name]
        always = {k: v for k, v in entry.labels.items() if entry.remote and "containerd" in k}
        always.pop(label_rules.LAYER_DIGEST, None)
        if not mask:
            entry.labels = {**kept(labels), **always}
            return
        for path in paths:
            entry.labels.pop(path, None)
            if labels.get(path):
                entry.labels[path] = labels[path]

    @rule(data=st.data())
    def mounts(self, data: st.DataObject) -> None:
        """Ask for mounts."""
        key = data.draw(st.sampled_from(["none", *sorted(self.model)]))
        expected: type[SnapshotterError] | None = None
        if key not in self.model:
            expected = NotFoundError
        elif self.model[key].kind is Kind.COMMITTED:
            expected = FailedPreconditionError
        elif self.unreachable(key):
            expected = UnavailableError
        self.both(lambda s: s.mounts(key), expected)

    @rule()
    def cleanup(self) -> None:
        """Delete what waits for it: then exactly the directories of what is there remain."""
        self.both(lambda s: s.cleanup(), None)
        for context in (self.memory, self.disk):
            present = set(context.directories.present())
            records = [s for b in LayerSnapshotter(context).list([]) for s in b]
            numbers = {s.identifier for s in records}
            lone = self.own_directories(records)
            assert lone <= present
            assert present <= numbers

    @staticmethod
    def own_directories(snapshots: Sequence[Snapshot]) -> set[int]:
        """Tell which snapshots have a directory; others may have a link."""
        return {
            s.identifier
            for s in snapshots
            if not s.remote and not (s.kind is Kind.VIEW and s.parent)
        }

    @rule()
    def measure(self) -> None:
        """Measure in the background."""
        for context in (self.memory, self.disk):
            type(self).measured += upkeep.measure_some(context, 100)

    @rule(fault=st.sampled_from([HEALTHY, Reason.DISCONNECTED, Reason.SLOW]))
    def change_health(self, fault: str | Reason) -> None:
        """Break the source, or mend it."""
        self.sources.faults = {} if isinstance(fault, str) else {"unpacked": fault}

    @invariant()
    def agree(self) -> None:
        """Both list what the model has, in one order, with equal times."""
        if not hasattr(self, "model"):
            return
        listings: list[list[Snapshot]] = []
        for context in (self.memory, self.disk):
            found = [s for b in LayerSnapshotter(context).list([]) for s in b]
            assert {name: (e.kind, e.parent, e.labels) for name, e in self.model.items()} == {
                s.name: (s.kind, s.parent, s.labels) for s in found
            }
            listings.append(found)
            for each in found:
                path = self.sources.path(each.layer) if each.layer else None
                assert not context.directories.is_astray(each.identifier, path)
        # How many bytes a directory takes is the file system's business.
        first, second = (
            [attrs.evolve(s, usage=s.usage and NOTHING_LOCAL) for s in one] for one in listings
        )
        assert first == second


def test_snapshotters_and_model_agree(new_database: Callable[[Path], Path]) -> None:
    """Whatever is asked of them, memory and disk answer as the model says, across restarts."""

    class Machine(SnapshotterMachine):
        pass

    Machine.new_database = staticmethod(new_database)
    run_state_machine_as_test(Machine, settings=settings(stateful_step_count=80))
    # Not only shallow examples were tried.
    assert 20 < Machine.provided_on_parents
    assert 20 < Machine.measured
