"""Snapshots and layers that were read lately, so that most reads need no statement.

What is remembered is what the database holds, never older: a transaction takes out what it changes
before it commits, and nothing of that is kept again before the commit is done; then what it has
written is. An answer counts only if no change began or ended while it was put together, so that it
is of one moment, as an answer of the database is.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TypeVar

from cvmfs_snapshotter.domain.companions import Names
from cvmfs_snapshotter.domain.errors import SnapshotterError
from cvmfs_snapshotter.domain.layer import Layer
from cvmfs_snapshotter.domain.snapshot import Snapshot

from .changes import Changes
from .session import SqliteRecords

T = TypeVar("T")

SNAPSHOTS = 2_048
"""How many are remembered: the chains of the images that a node uses. As many layers are."""

LABEL_CHARACTERS = 16 * 1024
"""Labels of a snapshot above which it is not; containerd's come to a few thousand."""

PATHS = 64
"""How many paths the names in a layer may have to be remembered: most layers delete little."""


class NotRememberedError(Exception):
    """An operation needs what only the database can tell."""


class Memory:
    """Remembers snapshots; any number of threads may use it at once.

    Only for the one process that writes to the database: what another one changes is not seen.
    """

    def __init__(self, size: int = SNAPSHOTS) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._changes = 0
        self._changing: set[int] = set()
        self._by_identifier: dict[int, Snapshot] = {}
        self._by_name: dict[str, Snapshot] = {}
        self._names: dict[Layer, Names] = {}
        self._renaming: set[Layer] = set()

    def now(self) -> int:
        """Give the present moment, for ``keep``."""
        return self._changes

    def named(self, name: str) -> Snapshot | None:
        """Give the snapshot of a name as it was committed last, or None if it is not remembered.

        For the one who writes: for anybody else it may have changed before it is looked at.
        """
        return self._by_name.get(name)

    def answer(self, operation: Callable[[SqliteRecords], T]) -> tuple[T] | None:
        """Run a reading operation on what is remembered.

        Args:
            operation: reads, and has no other effect.

        Returns:
            What it returned, alone in a tuple; None if the database has to be asked.

        Raises:
            SnapshotterError: raised by the operation.
        """
        moment = self._changes
        try:
            result = operation(_Remembered(self._by_identifier, self._by_name, self._names))
        except NotRememberedError:
            return None
        except SnapshotterError:
            if moment == self._changes:
                raise
            return None
        return (result,) if moment == self._changes else None

    def keep(
        self,
        moment: int,
        snapshots: Iterable[Snapshot],
        names: Mapping[Layer, Names] = MappingProxyType({}),
    ) -> None:
        """Remember what was read from the database.

        Args:
            moment: ``now`` before the reading began.
            snapshots: what was read.
            names: what the names in layers say that were read.
        """
        with self._lock:
            if moment != self._changes:
                return
            for snapshot in snapshots:
                if snapshot.identifier not in self._changing:
                    self._keep(snapshot)
            for layer, said in names.items():
                if layer not in self._renaming:
                    self._keep_names(layer, said)

    @contextmanager
    def changing(self, changes: Changes) -> Iterator[None]:
        """Forget snapshots, and remember none of them again before the block ends.

        What a transaction has written is remembered when it is durable, so that nobody has to
        read it first.

        Args:
            changes: what the transaction changes, which commits in the block.
        """
        with self._lock:
            self._changes += 1
            self._changing.update(changes.identifiers)
            for identifier in changes.identifiers:
                self._forget(identifier)
            self._renaming.update(changes.layers)
            for layer in changes.layers:
                self._names.pop(layer, None)
        committed = False
        try:
            yield
            committed = True
        finally:
            with self._lock:
                self._changes += 1
                self._changing.clear()
                self._renaming.clear()
                for snapshot in changes.after.values() if committed else ():
                    if self._knows_parent_of(snapshot):
                        self._keep(_with_own_labels(snapshot))

    def _knows_parent_of(self, snapshot: Snapshot) -> bool:
        # Its name is read from the parent's own record.
        parent = self._by_identifier.get(snapshot.parent_identifier)
        return snapshot.parent == ("" if parent is None else parent.name) and (
            parent is not None or not snapshot.parent_identifier
        )

    def _keep(self, snapshot: Snapshot) -> None:
        if not self._size or _is_large(snapshot):
            return
        self._by_identifier[snapshot.identifier] = snapshot
        self._by_name[snapshot.name] = snapshot
        if len(self._by_identifier) > self._size:
            self._forget(next(iter(self._by_identifier)))

    def _keep_names(self, layer: Layer, names: Names) -> None:
        if not self._size or len(names.markers) + len(names.directories) > PATHS:
            return
        self._names[layer] = names
        if len(self._names) > self._size:
            del self._names[next(iter(self._names))]

    def _forget(self, identifier: int) -> None:
        snapshot = self._by_identifier.pop(identifier, None)
        if snapshot is not None:
            del self._by_name[snapshot.name]


class _Remembered(SqliteRecords):
    """Answers what is remembered, and nothing else."""

    def __init__(
        self,
        by_identifier: Mapping[int, Snapshot],
        by_name: Mapping[str, Snapshot],
        names: Mapping[Layer, Names],
    ) -> None:
        self._by_identifier = by_identifier
        self._by_name = by_name
        self._names = names

    def get(self, name: str) -> Snapshot:
        found = self._by_name.get(name)
        if found is None:
            raise NotRememberedError
        return found

    def chain(self, identifier: int) -> tuple[Snapshot, ...]:
        found = []
        while identifier:
            snapshot = self._by_identifier.get(identifier)
            if snapshot is None:
                raise NotRememberedError
            found.append(snapshot)
            identifier = snapshot.parent_identifier
        return tuple(found)

    def names_in(self, layer: Layer) -> Names:
        found = self._names.get(layer)
        if found is None:
            raise NotRememberedError
        return found

    def _run(self, statement: str, **parameters: object) -> sqlite3.Cursor:
        raise NotRememberedError(statement, parameters)


def _with_own_labels(snapshot: Snapshot) -> Snapshot:
    # Whoever wrote it may change its labels afterwards; attrs.evolve takes three times as long.
    return Snapshot(
        identifier=snapshot.identifier,
        name=snapshot.name,
        parent_identifier=snapshot.parent_identifier,
        parent=snapshot.parent,
        kind=snapshot.kind,
        created_at=snapshot.created_at,
        updated_at=snapshot.updated_at,
        labels=dict(snapshot.labels),
        layer=snapshot.layer,
        companion=snapshot.companion,
        usage=snapshot.usage,
        staged=snapshot.staged,
    )


def _is_large(snapshot: Snapshot) -> bool:
    return sum(map(len, snapshot.labels.values())) > LABEL_CHARACTERS
