"""The operations: what they do to a core, and what the model says of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.errors import SnapshotterError
from cvmfs_snapshotter.domain.snapshot import Kind
from cvmfs_snapshotter.domain.usecases import upkeep

from .core import Core
from .world import (
    EXISTS,
    INVALID,
    MAPPED,
    MISSING,
    OK,
    PRECONDITION,
    PUBLISHED,
    Entry,
    State,
    digest_of,
    remote_name,
    target_of,
)

Outcome = tuple[str, State]
"""The answer, and the state afterwards."""


@attrs.frozen
class Operation:
    """One call; a subclass says which."""

    def run(self, core: Core, state: State) -> None:
        """Make the call.

        Args:
            core: on what.
            state: what it has before.
        """
        raise NotImplementedError

    def apply(self, state: State) -> Outcome:
        """Say how the call ends."""
        raise NotImplementedError

    def answer(self, core: Core, state: State) -> str:
        """Make the call and tell how it ended."""
        try:
            self.run(core, state)
        except SnapshotterError as error:
            return type(error).__name__
        return OK


def real_name(core: Core, state: State, name: str) -> str:
    """Give the name that a snapshot of the model has in a core."""
    entry = state.get(name)
    if entry is None or entry.layer is None:
        return name
    parent = core.record(real_name(core, state, entry.parent)).identifier if entry.parent else 0
    found = core.context.store.read(
        lambda r: r.get_with_remote("", parent, entry.labels[label_rules.TARGET])[1]
    )
    return found.name if found is not None else name


@attrs.frozen
class Make(Operation):
    """Prepare or View without a target."""

    key: str
    parent: str = ""
    kind: Kind = Kind.ACTIVE
    mapped: bool = False

    @property
    def labels(self) -> Mapping[str, str]:
        """What is sent."""
        return {"x": "1", **(MAPPED if self.mapped else {})}

    def run(self, core: Core, state: State) -> None:
        """See ``Operation.run``."""
        call = core.snapshotter.prepare if self.kind is Kind.ACTIVE else core.snapshotter.view
        call(self.key, real_name(core, state, self.parent), self.labels)

    def apply(self, state: State) -> Outcome:
        """See ``Operation.apply``."""
        refused = refusal(state, self.key, self.parent)
        if refused:
            return refused, state
        entry = Entry(self.kind, self.parent, self.labels)
        if self.kind is Kind.ACTIVE:
            owner = (1000, 2000) if self.mapped else owner_over(state, self.parent)
            entry = attrs.evolve(entry, owner=owner, payload=self.key)
        return OK, {**state, self.key: entry}


@attrs.frozen
class Pull(Operation):
    """Prepare with the target and the digest of a layer."""

    key: str
    number: int
    parent: str = ""

    def labels(self, state: State) -> dict[str, str]:
        """Give what is sent."""
        return {
            label_rules.TARGET: target_of(state, self.parent, self.number),
            label_rules.LAYER_DIGEST: str(digest_of(self.number)),
        }

    def run(self, core: Core, state: State) -> None:
        """See ``Operation.run``."""
        parent = real_name(core, state, self.parent)
        core.snapshotter.prepare(self.key, parent, self.labels(state))

    def apply(self, state: State) -> Outcome:
        """See ``Operation.apply``."""
        refused = refusal(state, self.key, self.parent)
        if refused:
            return refused, state
        labels = self.labels(state)
        if self.number >= PUBLISHED:
            owner = owner_over(state, self.parent)
            entry = Entry(Kind.ACTIVE, self.parent, labels, owner=owner, payload=self.key)
            return OK, {**state, self.key: entry}
        name = remote_name(self.parent, labels[label_rules.TARGET])
        if name in state:
            return EXISTS, state
        labels[label_rules.MARKER] = str(digest_of(self.number))
        entry = Entry(Kind.COMMITTED, self.parent, labels, layer=self.number)
        return EXISTS, {**state, name: entry}


@attrs.frozen
class Commit(Operation):
    """Commit, with a parent where one is given."""

    name: str
    key: str
    parent: str = ""

    def run(self, core: Core, state: State) -> None:
        """See ``Operation.run``."""
        core.snapshotter.commit(
            self.name, self.key, {"y": "2"}, real_name(core, state, self.parent)
        )

    def apply(self, state: State) -> Outcome:
        """See ``Operation.apply``."""
        entry = state.get(self.key)
        if self.name in state:
            return EXISTS, state
        if entry is None:
            return MISSING, state
        if entry.kind is not Kind.ACTIVE:
            return PRECONDITION, state
        if self.parent and self.parent != entry.parent:
            refused = self._refused_parent(state, entry)
            if refused:
                return refused, state
        after = {name: other for name, other in state.items() if name != self.key}
        parent = self.parent or entry.parent
        after[self.name] = attrs.evolve(
            entry, kind=Kind.COMMITTED, parent=parent, labels={"y": "2"}
        )
        return OK, after

    def _refused_parent(self, state: State, entry: Entry) -> str:
        if entry.parent:
            return INVALID
        if self.parent not in state:
            return MISSING
        return "" if state[self.parent].kind is Kind.COMMITTED else PRECONDITION


@attrs.frozen
class Remove(Operation):
    """Remove."""

    name: str

    def run(self, core: Core, state: State) -> None:
        """See ``Operation.run``."""
        core.snapshotter.remove(real_name(core, state, self.name))

    def apply(self, state: State) -> Outcome:
        """See ``Operation.apply``."""
        if self.name not in state:
            return MISSING, state
        if any(entry.parent == self.name for entry in state.values()):
            return PRECONDITION, state
        return OK, {name: entry for name, entry in state.items() if name != self.name}


@attrs.frozen
class Update(Operation):
    """Update of one label."""

    name: str
    value: str

    def run(self, core: Core, state: State) -> None:
        """See ``Operation.run``."""
        name = real_name(core, state, self.name)
        core.snapshotter.update(name, {"z": self.value}, ["labels.z"])

    def apply(self, state: State) -> Outcome:
        """See ``Operation.apply``."""
        entry = state.get(self.name)
        if entry is None:
            return MISSING, state
        labels = {**entry.labels, "z": self.value}
        return OK, {**state, self.name: attrs.evolve(entry, labels=labels)}


@attrs.frozen
class Mounts(Operation):
    """Mounts."""

    key: str

    def run(self, core: Core, state: State) -> None:
        """See ``Operation.run``."""
        core.snapshotter.mounts(real_name(core, state, self.key))

    def apply(self, state: State) -> Outcome:
        """See ``Operation.apply``."""
        entry = state.get(self.key)
        if entry is None:
            return MISSING, state
        return (PRECONDITION if entry.kind is Kind.COMMITTED else OK), state


@attrs.frozen
class Cleanup(Operation):
    """Cleanup."""

    def run(self, core: Core, _state: State) -> None:
        """See ``Operation.run``."""
        core.snapshotter.cleanup()

    def apply(self, state: State) -> Outcome:
        """See ``Operation.apply``."""
        return OK, state


@attrs.frozen
class Measure(Operation):
    """What the background thread does."""

    def run(self, core: Core, _state: State) -> None:
        """See ``Operation.run``."""
        upkeep.measure_some(core.context, 3)

    def apply(self, state: State) -> Outcome:
        """See ``Operation.apply``."""
        return OK, state


def refusal(state: State, key: str, parent: str) -> str:
    """Say why a new snapshot is refused; empty if it is not."""
    if parent and parent not in state:
        return MISSING
    if parent and state[parent].kind is not Kind.COMMITTED:
        return INVALID
    return EXISTS if key in state else ""


def owner_over(state: State, parent: str) -> tuple[int, int]:
    """Give the owner that a snapshot takes from its parent."""
    if not parent or state[parent].layer is not None:
        return (0, 0)
    return state[parent].owner


def unpack(core: Core, before: State, after: State) -> None:
    """Do what containerd does in active snapshots that it was given: put something into them."""
    for name in after.keys() - before.keys():
        # A commit has a new name for files that are there.
        if after[name].payload == name:
            files = core.context.layout.files(core.record(name).identifier)
            (Path(files) / "payload").write_text(name)


def carry_out(core: Core, state: State, operations: Sequence[Operation]) -> State:
    """Make calls one after the other, and use what they give; they must end as the model says.

    Args:
        core: on what.
        state: what it has before.
        operations: the calls.

    Returns:
        What it has afterwards.
    """
    for operation in operations:
        expected, after = operation.apply(state)
        assert expected == operation.answer(core, state)
        if expected == OK:
            unpack(core, state, after)
        state = after
    return state
