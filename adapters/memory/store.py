"""The store in memory: the executable specification of the port."""

import copy
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar

import attrs

from cvmfs_snapshotter.domain.companions import Companion, Names
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.ports.store import Census, Position, Records, Transaction
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot, Usage
from cvmfs_snapshotter.domain.wishes import Wish

T = TypeVar("T")


@attrs.define
class _State:
    """All records at one moment; implements ``Transaction``."""

    snapshots: dict[int, Snapshot] = attrs.field(factory=dict)
    buried: set[int] = attrs.field(factory=set)
    names: dict[Layer, Names] = attrs.field(factory=dict)
    paths: dict[str, str] = attrs.field(factory=dict)
    companions: dict[str, Companion] = attrs.field(factory=dict)
    claimed: set[int] = attrs.field(factory=set)
    unknown: set[int] = attrs.field(factory=set)
    missed: dict[tuple[str, str, str], Wish] = attrs.field(factory=dict)
    following: int = 1

    def get(self, name: str) -> Snapshot | None:
        return next((s for s in self.snapshots.values() if s.name == name), None)

    def get_with_remote(
        self, name: str, parent_identifier: int, target: str
    ) -> tuple[Snapshot | None, Snapshot | None]:
        wanted = (parent_identifier, target)
        remote = (s for s in self.snapshots.values() if s.remote and not s.staged)
        found = (s for s in remote if (s.parent_identifier, s.target) == wanted)
        return self.get(name), next(found, None)

    def chain(self, identifier: int) -> tuple[Snapshot, ...]:
        chain: list[Snapshot] = []
        while identifier in self.snapshots:
            chain.append(self.snapshots[identifier])
            identifier = chain[-1].parent_identifier
        return tuple(chain)

    def has_children(self, identifier: int) -> bool:
        return any(s.parent_identifier == identifier for s in self.snapshots.values())

    def page(self, pins: Pins, after: Position | None, limit: int) -> Sequence[Snapshot]:
        found = [
            s
            for s in self.snapshots.values()
            if pins.name in {None, s.name}
            and pins.parent in {None, s.parent}
            and pins.target in {None, s.target}
            and (after is None or Position.of(s) > after)
        ]
        return sorted(found, key=Position.of)[:limit]

    def census(self) -> Census:
        counts = Counter(
            (s.kind, s.layer.source if s.layer else "") for s in self.snapshots.values()
        )
        return Census(dict(counts), len(self.buried))

    def unmeasured(self, limit: int) -> Sequence[int]:
        committed = (s for s in self.snapshots.values() if s.kind is Kind.COMMITTED)
        return sorted(s.identifier for s in committed if s.usage is None)[:limit]

    def tombstones(self, after: int, limit: int) -> Sequence[int]:
        return sorted(i for i in self.buried if i > after)[:limit]

    def strangers(self) -> Sequence[int]:
        return sorted(self.unknown)

    def next_identifier(self) -> int:
        return self.following

    def unrecorded(self, identifiers: Sequence[int]) -> Sequence[int]:
        recorded = {*self.snapshots, *self.buried, *self.unknown}
        return [i for i in identifiers if i not in recorded]

    def highest_identifier(self) -> int:
        companions = (companion.number for companion in self.companions.values())
        return max(
            (*self.snapshots, *self.buried, *self.unknown, *companions, *self.claimed), default=0
        )

    def names_in(self, layer: Layer) -> Names | None:
        return self.names.get(layer)

    def find_companion(self, fingerprint: str) -> Companion | None:
        return self.companions.get(fingerprint)

    def unrecorded_companions(self, numbers: Sequence[int]) -> Sequence[int]:
        recorded = {c.number for c in self.companions.values()} | self.claimed | self.unknown
        return [number for number in numbers if number not in recorded]

    def add_companion(self, companion: Companion, fingerprint: str) -> None:
        if fingerprint in self.companions:
            raise ValueError(f"there is a companion {fingerprint} already")
        self.companions[fingerprint] = companion

    def claim_unused_companions(self, limit: int) -> Sequence[int]:
        used = {s.companion.number for s in self.snapshots.values() if s.companion}
        for fingerprint, companion in list(self.companions.items()):
            if companion.number not in used:
                self.claimed.add(companion.number)
                del self.companions[fingerprint]
        return sorted(self.claimed)[:limit]

    def forget_companions(self, numbers: Sequence[int]) -> None:
        self.claimed.difference_update(numbers)

    def source_paths(self) -> Mapping[str, str]:
        return dict(self.paths)

    def remote_layers(self, source: str) -> Sequence[tuple[int, Layer]]:
        found = [
            (s.identifier, s.layer)
            for s in self.snapshots.values()
            if s.layer is not None and s.layer.source == source
        ]
        return sorted(found, key=itemgetter(0))

    def insert(self, snapshot: Snapshot) -> None:
        self._require_free(snapshot)
        if snapshot.identifier in self.snapshots:
            raise ValueError(f"identifier {snapshot.identifier} is in use")
        self._keep(snapshot)

    def replace(self, snapshot: Snapshot) -> None:
        self._require_free(snapshot)
        if snapshot.identifier not in self.snapshots:
            raise KeyError(snapshot.identifier)
        self._keep(snapshot)

    def _require_free(self, snapshot: Snapshot) -> None:
        taken = self.get(snapshot.name)
        if taken is not None and taken.identifier != snapshot.identifier:
            raise AlreadyExistsError(f"snapshot {snapshot.name!r} exists already")

    def _keep(self, snapshot: Snapshot) -> None:
        _, twin = self.get_with_remote("", snapshot.parent_identifier, snapshot.target)
        provided = snapshot.remote and not snapshot.staged
        if provided and twin is not None and twin.identifier != snapshot.identifier:
            raise ValueError(f"parent and target of snapshot {snapshot.identifier} are taken")
        # The caller's own labels may change afterwards.
        kept = attrs.evolve(snapshot, labels=dict(snapshot.labels))
        self.snapshots[snapshot.identifier] = kept

    def bury(self, identifier: int) -> None:
        del self.snapshots[identifier]
        self.buried.add(identifier)

    def measure(self, identifier: int, usage: Usage) -> None:
        snapshot = self.snapshots.get(identifier)
        if snapshot is not None and snapshot.kind is Kind.COMMITTED:
            self.snapshots[identifier] = attrs.evolve(snapshot, usage=usage)

    def add_tombstones(self, identifiers: Sequence[int]) -> None:
        self.buried.update(identifiers)

    def add_strangers(self, identifiers: Sequence[int]) -> None:
        self.unknown.update(identifiers)

    def forget_tombstones(self, identifiers: Sequence[int]) -> None:
        self.buried.difference_update(identifiers)

    def keep_names(self, layer: Layer, names: Names) -> None:
        self.names[layer] = names

    def keep_source_path(self, source: str, path: str) -> None:
        self.paths[source] = path

    def wishes(self) -> Sequence[Wish]:
        return sorted(self.missed.values(), key=lambda wish: (-wish.last_seen_at, wish.key))

    def add_wishes(self, wishes: Sequence[Wish], most: int) -> None:
        for wish in wishes:
            before = self.missed.get(wish.key)
            self.missed[wish.key] = wish if before is None else before.merged(wish)
        self.missed = {wish.key: wish for wish in self.wishes()[:most]}

    def forget_wishes(self, digests: Sequence[Digest]) -> None:
        gone = set(digests)
        self.missed = {key: w for key, w in self.missed.items() if w.digest not in gone}


class MemoryStore:
    """Implements ``Store``; what it keeps is gone with the process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._state = _State()

    def read(self, operation: Callable[[Records], T]) -> T:
        """See ``Store.read``."""
        return operation(self._state)

    def write(self, operation: Callable[[Transaction], T], *, frees: bool = False) -> T:  # noqa: ARG002 - memory is never set aside
        """See ``Store.write``."""
        with self._lock:
            # Readers keep the state they have; a failing operation leaves only its copy changed.
            after = _State(
                *(copy.copy(part) for part in attrs.astuple(self._state, recurse=False))
            )
            result = operation(after)
            self._state = after
            return result

    def new_identifier(self) -> int:
        """See ``Store.new_identifier``."""
        with self._lock:
            given = self._state.following
            self._state = attrs.evolve(self._state, following=given + 1)
            return given

    def raise_identifiers(self, above: int) -> None:
        """See ``Store.raise_identifiers``."""
        with self._lock:
            following = max(self._state.following, above + 1)
            self._state = attrs.evolve(self._state, following=following)
