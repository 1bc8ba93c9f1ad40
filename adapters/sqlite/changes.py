"""What a transaction has changed so far."""

import attrs

from cvmfs_snapshotter.domain.layer import Layer
from cvmfs_snapshotter.domain.snapshot import Snapshot


@attrs.define
class Changes:
    """Collects what a transaction changes, for whoever remembers what was there before.

    Attributes:
        identifiers: of all snapshots that were changed, and of some that were only tried.
        after: those of them whose record is known to be this from now on, by identifier.
        layers: those whose names were recorded anew.
    """

    identifiers: set[int] = attrs.field(factory=set)
    after: dict[int, Snapshot] = attrs.field(factory=dict)
    layers: set[Layer] = attrs.field(factory=set)

    def change(self, identifier: int) -> None:
        """Note that a snapshot is about to be changed."""
        self.identifiers.add(identifier)
        self.after.pop(identifier, None)

    def changed_to(self, snapshot: Snapshot) -> None:
        """Note what a snapshot was changed to, once it is."""
        self.after[snapshot.identifier] = snapshot

    def clear(self) -> None:
        """Begin anew."""
        self.identifiers.clear()
        self.after.clear()
        self.layers.clear()
