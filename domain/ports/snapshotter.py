"""Port towards the caller: the ten operations of a snapshotter, in domain words.

The terms are containerd's (its ``core/snapshots/snapshotter.go``): a *key* names an active
snapshot or a view, a *name* a committed one, a *parent* is the name of a committed snapshot.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from ..mounts import Mount
from ..snapshot import Snapshot, Usage


class Snapshotter(Protocol):
    """What containerd asks of a snapshotter. Any number of threads may call it at once.

    Every operation either succeeds, or raises an error of ``domain.errors`` and changes nothing.
    """

    def prepare(self, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        """Make an active snapshot, or provide the layer that the labels ask for.

        With the label ``containerd.io/snapshot.ref``, and a source that has the layer of the
        digest label, the committed snapshot is recorded instead and ``AlreadyExistsError`` is
        raised: containerd then finds it by its label.

        Args:
            key: of the new snapshot.
            parent: what it stands on; empty for an empty tree.
            labels: labels to keep with it.

        Returns:
            How to mount it.

        Raises:
            InvalidArgumentError: empty key, bad label, parent not committed.
            NotFoundError: no such parent.
            AlreadyExistsError: the key is taken, or the layer has been provided.
            UnavailableError: a remote layer below is out of reach.
            FailedPreconditionError: the chain is too long for any mount.
        """
        ...

    def view(self, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        """Make a read-only snapshot.

        Args, result and errors are those of ``prepare``; no layer is ever provided.
        """
        ...

    def mounts(self, key: str) -> tuple[Mount, ...]:
        """Say how to mount an active snapshot or a view.

        Raises:
            NotFoundError: no such key.
            FailedPreconditionError: it is committed.
            UnavailableError: a remote layer below is out of reach.
        """
        ...

    def commit(self, name: str, key: str, labels: Mapping[str, str], parent: str) -> None:
        """Turn an active snapshot into a committed one; its key is gone afterwards.

        Args:
            name: the name it gets.
            key: the active snapshot.
            labels: its labels from now on.
            parent: sets the parent if it has none yet; empty to leave it.

        Raises:
            InvalidArgumentError: empty key or name, bad label, or it has another parent.
            AlreadyExistsError: the name is taken.
            NotFoundError: no such key or parent.
            FailedPreconditionError: it is not active, or the parent is not committed.
        """
        ...

    def remove(self, key: str) -> None:
        """Forget a snapshot; its directory goes at the next ``cleanup``.

        Raises:
            NotFoundError: no such snapshot.
            FailedPreconditionError: others stand on it.
        """
        ...

    def stat(self, key: str) -> Snapshot:
        """Give the record of a snapshot of any kind.

        Raises:
            NotFoundError: no such snapshot.
        """
        ...

    def update(self, name: str, labels: Mapping[str, str], paths: Sequence[str]) -> Snapshot:
        """Change the labels of a snapshot.

        Args:
            name: key or name.
            labels: the values.
            paths: which ones: none or ``labels`` for all, ``labels.<key>`` for one.

        Returns:
            The record afterwards.

        Raises:
            NotFoundError: no such snapshot.
            InvalidArgumentError: a path that cannot be changed, or a bad label.
        """
        ...

    def list(self, filters: Sequence[str]) -> Iterator[Sequence[Snapshot]]:
        """List snapshots that match any of the filters, remote ones first.

        Nothing is held between batches, so that what changes meanwhile may or may not be in them.

        Args:
            filters: in containerd's language; none for everything.

        Returns:
            Batches of at most 100. An empty one only says that the search goes on, so that the
            caller can give up between two of them.

        Raises:
            InvalidArgumentError: a malformed filter; raised by the call, not by the iteration.
        """
        ...

    def usage(self, key: str) -> Usage:
        """Tell what a snapshot takes on the local disk, its parents not included.

        Raises:
            NotFoundError: no such snapshot.
        """
        ...

    def cleanup(self) -> None:
        """Delete the directories of removed snapshots."""
        ...
