"""Port: the records of snapshots, durable and transactional."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import attrs

from ..companions import Companion, Names
from ..filters import Pins
from ..layer import Digest, Layer
from ..snapshot import Kind, Snapshot, Usage
from ..wishes import Wish

T = TypeVar("T")


@attrs.frozen(order=True)
class Position:
    """A place in the order of a listing: remote snapshots first, then by identifier.

    Attributes:
        local: whether the snapshot there is local.
        identifier: its identifier.
    """

    local: bool
    identifier: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Position":
        """Give the place of a snapshot."""
        return cls(local=not snapshot.remote, identifier=snapshot.identifier)


@attrs.frozen
class Census:
    """How many records there are.

    Attributes:
        snapshots: by kind and name of the source, which is empty for local ones. What there is
            none of is not in it.
        tombstones: removed snapshots whose directories wait for Cleanup.
    """

    snapshots: Mapping[tuple[Kind, str], int]
    tombstones: int


class Records(Protocol):
    """What can be read, all of it as of one moment."""

    def get(self, name: str) -> Snapshot | None:
        """Give the snapshot of that key or name, or None."""
        ...

    def get_with_remote(
        self, name: str, parent_identifier: int, target: str
    ) -> tuple[Snapshot | None, Snapshot | None]:
        """Give what ``get`` gives, and the remote snapshot of that parent and target, in one look.

        Args:
            name: a key or name.
            parent_identifier: of the parent of the remote one; 0 for none.
            target: the target of the remote one. Staged ones are left out.

        Returns:
            The two snapshots; None for each that there is not. They may be the same.
        """
        ...

    def chain(self, identifier: int) -> tuple[Snapshot, ...]:
        """Give the snapshot of that identifier and all below it, topmost first; none for 0."""
        ...

    def has_children(self, identifier: int) -> bool:
        """Tell whether any snapshot has this one as its parent."""
        ...

    def page(self, pins: Pins, after: Position | None, limit: int) -> Sequence[Snapshot]:
        """List snapshots that have what is pinned, in the order of ``Position``.

        Args:
            pins: what they must have. Name, and parent with target, are found by an index.
            after: where the previous page ended; None for the first.
            limit: how many at most.

        Returns:
            The next ones; fewer than ``limit`` only at the end.
        """
        ...

    def census(self) -> Census:
        """Count all records; takes the longer the more there are."""
        ...

    def unmeasured(self, limit: int) -> Sequence[int]:
        """Give identifiers of committed snapshots without usage, at most ``limit``."""
        ...

    def tombstones(self, after: int, limit: int) -> Sequence[int]:
        """Give identifiers above ``after`` of removed snapshots whose directories may be there."""
        ...

    def strangers(self) -> Sequence[int]:
        """Give every identifier that ``add_strangers`` was told of, in order."""
        ...

    def next_identifier(self) -> int:
        """Give a number that was never given as an identifier, and none from it upwards was."""
        ...

    def unrecorded(self, identifiers: Sequence[int]) -> Sequence[int]:
        """Give those identifiers that no snapshot, tombstone or stranger has."""
        ...

    def highest_identifier(self) -> int:
        """Give the highest number that any record has: a snapshot, tombstone, stranger, companion.

        Returns:
            The number; 0 if there is no record.
        """
        ...

    def names_in(self, layer: Layer) -> Names | None:
        """Give what the names in a layer were found to say, or None if it was not scanned yet."""
        ...

    def find_companion(self, fingerprint: str) -> Companion | None:
        """Give the companion recorded under a fingerprint, if it is not being deleted."""
        ...

    def unrecorded_companions(self, numbers: Sequence[int]) -> Sequence[int]:
        """Give those numbers that no stranger has and no companion, even one being deleted."""
        ...

    def source_paths(self) -> Mapping[str, str]:
        """Give, by name of source, the path that the links of its layers lead to."""
        ...

    def remote_layers(self, source: str) -> Sequence[tuple[int, Layer]]:
        """Give identifier and layer of every snapshot on a source."""
        ...

    def wishes(self) -> Sequence[Wish]:
        """Give the layers that were missed, those seen last first."""
        ...


class Transaction(Records, Protocol):
    """What can be changed; it becomes durable as a whole or not at all.

    A ``KeyError`` or ``ValueError`` shows a defect of the caller: an identifier that no snapshot
    has, one that is in use, or a second remote snapshot of one parent and target.
    """

    def insert(self, snapshot: Snapshot) -> None:
        """Record a new snapshot under its identifier.

        Raises:
            AlreadyExistsError: its name is taken, by a snapshot of any kind.
        """
        ...

    def replace(self, snapshot: Snapshot) -> None:
        """Record what became of the snapshot that has this identifier.

        Raises:
            AlreadyExistsError: its new name is taken by another one.
        """
        ...

    def bury(self, identifier: int) -> None:
        """Turn the snapshot into a tombstone, which remembers that its directory must go."""
        ...

    def measure(self, identifier: int, usage: Usage) -> None:
        """Record the usage of a committed snapshot; nothing happens if it is gone."""
        ...

    def add_tombstones(self, identifiers: Sequence[int]) -> None:
        """Record that directories of these identifiers must go."""
        ...

    def add_strangers(self, identifiers: Sequence[int]) -> None:
        """Record that what has these identifiers is somebody else's, now and always.

        They are identifiers of directories or numbers of companions.
        """
        ...

    def forget_tombstones(self, identifiers: Sequence[int]) -> None:
        """Forget tombstones whose directories are gone."""
        ...

    def keep_names(self, layer: Layer, names: Names) -> None:
        """Record what the names in a layer say, in place of what was recorded before."""
        ...

    def add_companion(self, companion: Companion, fingerprint: str) -> None:
        """Record a companion that has been made, under the fingerprint of what it is for."""
        ...

    def claim_unused_companions(self, limit: int) -> Sequence[int]:
        """Mark companions that no snapshot has as being deleted, so that none gets them any more.

        Returns:
            The numbers of those, and of those that were marked before and are not forgotten yet.
        """
        ...

    def forget_companions(self, numbers: Sequence[int]) -> None:
        """Forget companions whose directories are gone."""
        ...

    def keep_source_path(self, source: str, path: str) -> None:
        """Record where the links of a source's layers lead to."""
        ...

    def add_wishes(self, wishes: Sequence[Wish], most: int) -> None:
        """Add layers that were missed to those that are recorded, each to its like.

        Args:
            wishes: what was missed.
            most: how many stay altogether; those that were seen last.
        """
        ...

    def forget_wishes(self, digests: Sequence[Digest]) -> None:
        """Forget all about layers of these digests, which are there now."""
        ...


class Store(Protocol):
    """Keeps the records. Every method may be called by any number of threads at once.

    Failures of the medium (full disk, read-only file system, out of memory) are raised as
    ``ResourceExhaustedError`` and leave everything as it was; so is, as ``UnavailableError``, that
    another program holds the records for too long.
    """

    def read(self, operation: Callable[[Records], T]) -> T:
        """Run a reading operation on one consistent state; it never waits for a writer.

        Args:
            operation: reads, has no other effect, and may run twice.

        Returns:
            What the operation returned.
        """
        ...

    def write(self, operation: Callable[[Transaction], T], *, frees: bool = False) -> T:
        """Run a changing operation and return once its changes would survive a power cut.

        Operations of callers that wait at the same time may share one sync of the disk. An
        operation that raises changes nothing, and what it raised is raised here.

        Args:
            operation: has no effect outside its transaction and may run twice.
            frees: it leads to space being freed. On a full disk it gets what was set aside for
                that, without which nothing could ever be removed.

        Returns:
            What the operation returned.
        """
        ...

    def new_identifier(self) -> int:
        """Give an identifier that was never given before, not even by an earlier process.

        Returns:
            A number from 1 up; gaps are normal.
        """
        ...

    def raise_identifiers(self, above: int) -> None:
        """Make every identifier given from now on greater than ``above``.

        What is set aside for a full disk may be used.
        """
        ...
