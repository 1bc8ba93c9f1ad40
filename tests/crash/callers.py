"""Callers of a daemon that may die at any moment, and what each of them knows for sure."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.errors import AlreadyExistsError, UnavailableError
from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter
from cvmfs_snapshotter.domain.snapshot import Kind

from .world import digest_of, target_of

SHARED = 0
"""The layer that all callers pull and nobody removes."""

_MOST = 25


@attrs.frozen
class Known:
    """A snapshot that a caller was told of.

    Attributes:
        parent: name of its parent; empty for none.
        payload: a file that was put into it; None for none.
    """

    kind: Kind
    parent: str = ""
    payload: Path | None = None


def remote(number: int) -> str:
    """Give the name of the snapshot of a layer on nothing, which has no number of a parent."""
    return f"{target_of({}, '', number)}@0"


@attrs.define
class Caller:
    """One client with names of its own, whose calls come one after the other.

    Attributes:
        name: begins its names.
        layer: number of a layer that only this caller pulls and removes; ``SHARED`` for none.
        choices: what it does.
        before: what is there if the call that was cut short had no effect.
        after: what is there if it had.
        calls: how many calls were answered.
    """

    name: str
    layer: int
    choices: random.Random
    before: Mapping[str, Known] = attrs.field(factory=dict)
    after: Mapping[str, Known] = attrs.field(factory=dict)
    calls: int = 0

    def work(self, snapshotter: Snapshotter) -> None:
        """Call until the daemon is gone."""
        try:
            while True:
                self._call(snapshotter)
                self.calls += 1
        except UnavailableError:
            # So gRPC tells that nobody is there any more.
            pass

    def _call(self, snapshotter: Snapshotter) -> None:
        active = [n for n, known in self.before.items() if known.kind is Kind.ACTIVE]
        parents = {known.parent for known in self.before.values()}
        childless = [n for n in self.before if n not in parents and n != remote(SHARED)]
        committed = [n for n, known in self.before.items() if known.kind is Kind.COMMITTED]
        what = self.choices.choice(["make", "make", "commit", "pull", "remove", "cleanup"])
        if len(self.before) > _MOST:
            what = "remove"
        if what == "make":
            self._make(snapshotter, self.choices.choice(["", *committed]))
        elif what == "commit" and active:
            self._commit(snapshotter, self.choices.choice(active))
        elif what == "pull":
            self._pull(snapshotter, self.choices.choice([SHARED, self.layer]))
        elif what == "remove" and childless:
            name = self.choices.choice(childless)
            self._change(lambda: snapshotter.remove(name), without(self.before, name))
        else:
            snapshotter.cleanup()

    def _change(self, call: Callable[[], object], after: Mapping[str, Known]) -> None:
        self.after = after
        call()
        self.before = after

    def _make(self, snapshotter: Snapshotter, parent: str) -> None:
        key = self._new_name()
        kind = self.choices.choice([Kind.ACTIVE, Kind.ACTIVE, Kind.VIEW])
        make = snapshotter.prepare if kind is Kind.ACTIVE else snapshotter.view
        self.after = {**self.before, key: Known(kind, parent)}
        mounts = make(key, parent, {})
        payload = None
        if kind is Kind.ACTIVE:
            payload = Path(files_of(mounts[0]), "payload")
            payload.write_text(key)
        self.before = self.after = {**self.before, key: Known(kind, parent, payload)}

    def _commit(self, snapshotter: Snapshotter, key: str) -> None:
        name, known = self._new_name(), self.before[key]
        after = without(self.before, key)
        after[name] = attrs.evolve(known, kind=Kind.COMMITTED)
        self._change(lambda: snapshotter.commit(name, key, {}, ""), after)

    def _pull(self, snapshotter: Snapshotter, number: int) -> None:
        labels = {
            label_rules.TARGET: target_of({}, "", number),
            label_rules.LAYER_DIGEST: str(digest_of(number)),
        }

        def call() -> None:
            try:
                snapshotter.prepare(self._new_name(), "", labels)
            except AlreadyExistsError:
                return
            raise AssertionError("a published layer was not used")

        self._change(call, {**self.before, remote(number): Known(Kind.COMMITTED)})

    def _new_name(self) -> str:
        return f"{self.name}-{self.choices.getrandbits(64):x}"

    def settle(self, found: Mapping[str, Kind]) -> None:
        """Compare with what is there after a new start.

        Args:
            found: kinds of all snapshots by name.

        Raises:
            AssertionError: something is missing, too much, or not what it was.
        """
        shared = remote(SHARED)
        assert shared not in self.before or shared in found
        own = {
            name: kind
            for name, kind in found.items()
            if name.startswith(f"{self.name}-")
            or (name == remote(self.layer) and self.layer != SHARED)
        }
        candidates = [self.before, self.after]
        fitting = [one for one in candidates if kinds(without(one, shared)) == own]
        assert fitting, f"{own} is none of {candidates}"
        kept = {shared: Known(Kind.COMMITTED)} if shared in found else {}
        self.before = self.after = {**without(fitting[0], shared), **kept}
        for name, known in self.before.items():
            assert known.payload is None or known.payload.exists(), name


def without(known: Mapping[str, Known], name: str) -> dict[str, Known]:
    """Leave a name out."""
    return {other: one for other, one in known.items() if other != name}


def kinds(known: Mapping[str, Known]) -> dict[str, Kind]:
    """Give the kinds alone."""
    return {name: one.kind for name, one in known.items()}


def files_of(mount: Mount) -> str:
    """Give the directory that takes what is written."""
    if mount.type == "bind":
        return mount.source
    (upper,) = (o for o in mount.options if o.startswith("upperdir="))
    return upper.removeprefix("upperdir=")
