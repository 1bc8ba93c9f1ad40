"""Snapshots and the states they go through.

==========  =========  ==========================================
from        operation  to
==========  =========  ==========================================
nothing     prepare    active
nothing     view       view
nothing     provide    committed, with a layer on a source
nothing     stage      active, with a layer on a source
active      commit     committed, under another name
any         relabel    the same, other labels
any         remove     gone, if nothing stands on it
==========  =========  ==========================================

Each transition is a function from snapshot to snapshot, or one of the errors of ``domain.errors``
with containerd's own choice of kind (its ``core/snapshots/storage/bolt.go``).
"""

from collections.abc import Mapping
from enum import Enum

import attrs

from . import labels as label_rules
from .companions import Companion
from .errors import FailedPreconditionError, InvalidArgumentError
from .layer import Digest, Layer


class Kind(Enum):
    """What a snapshot is for."""

    VIEW = "view"
    ACTIVE = "active"
    COMMITTED = "committed"


@attrs.frozen
class Usage:
    """What a snapshot takes on the local disk.

    Attributes:
        size: bytes.
        inodes: inodes; hard links to one file count once.
    """

    size: int
    inodes: int


NOTHING_LOCAL = Usage(size=0, inodes=0)


@attrs.frozen
class Snapshot:
    """A snapshot as it is recorded.

    Attributes:
        identifier: number of its directory and link; never given twice. 0 before it is known.
        name: key of an active snapshot or view, name of a committed one.
        parent_identifier: of the snapshot it stands on; 0 for none.
        parent: name of that snapshot; empty for none.
        kind: see ``Kind``.
        created_at: nanoseconds since the epoch, UTC.
        updated_at: nanoseconds since the epoch, UTC.
        labels: as containerd gave them, without empty values.
        layer: where a remote snapshot's files are; None for a local one.
        companion: what lies above and below the layer to make it look as it should; None if it
            needs nothing, or the snapshot is local.
        usage: what it takes on disk, where that is known; always known for a remote one.
        staged: whether it is a remote one that gets, or got, its name and parent at Commit. There
            may be any number of these for one parent and target.
    """

    identifier: int
    name: str
    parent_identifier: int
    parent: str
    kind: Kind
    created_at: int
    updated_at: int
    labels: Mapping[str, str]
    layer: Layer | None = None
    companion: Companion | None = None
    usage: Usage | None = None
    staged: bool = False

    @property
    def remote(self) -> bool:
        """Whether its files lie on a source instead of the local disk."""
        return self.layer is not None

    @property
    def target(self) -> str:
        """The chain ID that containerd asked for when it was made; empty if it did not."""
        return self.labels.get(label_rules.TARGET, "")

    @property
    def chain_id(self) -> Digest | None:
        """The chain ID of the tree it shows, as far as containerd told it.

        A committed snapshot is named by its chain ID, behind the prefix that containerd's metadata
        store adds (``<namespace>/<number>/<name>``).
        """
        return Digest.parse(self.target) or Digest.parse(self.name.rpartition("/")[2])


def begin(  # noqa: PLR0913 - a whole record
    kind: Kind,
    key: str,
    parent: Snapshot | None,
    labels: Mapping[str, str],
    *,
    now: int,
    identifier: int = 0,
) -> Snapshot:
    """Make an active snapshot or a view.

    Args:
        kind: ``Kind.ACTIVE`` or ``Kind.VIEW``.
        key: its key, not empty.
        parent: what it stands on; None for an empty tree.
        labels: checked labels; see ``domain.labels``.
        now: nanoseconds since the epoch.
        identifier: its identifier, if it is known.

    Returns:
        The snapshot.

    Raises:
        InvalidArgumentError: the parent is not committed.
    """
    _require_committed(parent)
    return Snapshot(
        identifier=identifier,
        name=key,
        parent_identifier=parent.identifier if parent else 0,
        parent=parent.name if parent else "",
        kind=kind,
        created_at=now,
        updated_at=now,
        labels=labels,
    )


def _require_committed(parent: Snapshot | None) -> None:
    if parent is not None and parent.kind is not Kind.COMMITTED:
        raise InvalidArgumentError(
            f"parent {parent.name!r} is {parent.kind.value}: only a committed snapshot can be one"
        )


def provided_name(target: str, parent_identifier: int) -> str:
    """Give the name of the snapshot that is provided for a target on a parent.

    The name is free (containerd takes what the List after it says) and must be unique for each
    pair of parent and target; no name of containerd's has this shape, because a namespace cannot
    contain a colon.

    Args:
        target: the chain ID that was asked for.
        parent_identifier: of what it stands on; 0 for nothing.
    """
    return f"{target}@{parent_identifier}"


def provide(  # noqa: PLR0913 - a whole record
    layer: Layer,
    target: Digest,
    parent: Snapshot | None,
    labels: Mapping[str, str],
    *,
    now: int,
    identifier: int = 0,
    companion: Companion | None = None,
) -> Snapshot:
    """Make the committed snapshot of a layer that a source has; see ``provided_name``.

    Args:
        layer: the layer.
        target: the chain ID that was asked for.
        parent: what it stands on; None for the bottom layer.
        labels: the labels of the Prepare, all of which containerd expects to be kept.
        now: nanoseconds since the epoch.
        identifier: its identifier, if it is known.
        companion: what makes the layer look as it should, if that is known.

    Returns:
        The snapshot.

    Raises:
        InvalidArgumentError: the parent is not committed.
    """
    _require_committed(parent)
    number = parent.identifier if parent else 0
    # Whole at once: to change a value costs more than to make it, and pulls wait for this.
    return Snapshot(
        identifier=identifier,
        name=provided_name(str(target), number),
        parent_identifier=number,
        parent=parent.name if parent else "",
        kind=Kind.COMMITTED,
        created_at=now,
        updated_at=now,
        labels=_labels_of_remote(layer, str(target), labels),
        layer=layer,
        companion=companion,
        usage=NOTHING_LOCAL,
    )


def _labels_of_remote(layer: Layer, target: str, labels: Mapping[str, str]) -> dict[str, str]:
    return {**labels, label_rules.TARGET: target, label_rules.MARKER: str(layer.digest)}


def stage(
    layer: Layer, key: str, target: Digest, labels: Mapping[str, str], *, now: int
) -> Snapshot:
    """Make the active snapshot of a layer that a source has and that gets its parent at Commit.

    Args:
        layer: the layer.
        key: its key, not empty.
        target: the chain ID that was asked for.
        labels: checked labels; see ``domain.labels``.
        now: nanoseconds since the epoch.

    Returns:
        The snapshot, its identifier still 0.
    """
    return attrs.evolve(
        begin(Kind.ACTIVE, key, None, labels, now=now),
        labels=_labels_of_remote(layer, str(target), labels),
        layer=layer,
        usage=NOTHING_LOCAL,
        staged=True,
    )


def require_active(snapshot: Snapshot) -> None:
    """Refuse to commit what is not active.

    Args:
        snapshot: the one to commit.

    Raises:
        FailedPreconditionError: it is a view, or committed already.
    """
    if snapshot.kind is not Kind.ACTIVE:
        raise FailedPreconditionError(
            f"snapshot {snapshot.name!r} is {snapshot.kind.value}: only an active one is committed"
        )


def require_new_parent(snapshot: Snapshot, parent: str) -> bool:
    """Tell whether Commit has to set a parent.

    Args:
        snapshot: the active snapshot that is committed.
        parent: the parent that Commit names; empty if it names none.

    Returns:
        True if the snapshot has no parent and shall get this one.

    Raises:
        InvalidArgumentError: it has another parent already.
    """
    if not parent or parent == snapshot.parent:
        return False
    if snapshot.parent_identifier:
        raise InvalidArgumentError(
            f"snapshot {snapshot.name!r} stands on {snapshot.parent!r}: "
            f"its parent cannot become {parent!r}"
        )
    return True


def commit(
    snapshot: Snapshot,
    name: str,
    labels: Mapping[str, str],
    *,
    now: int,
    new_parent: Snapshot | None = None,
) -> Snapshot:
    """Turn an active snapshot into a committed one.

    Labels are replaced, not merged, and both times start anew, as in containerd's own storage. A
    staged layer keeps the labels that make it a remote one.

    Args:
        snapshot: the active snapshot.
        name: its name from now on, not empty.
        labels: checked labels.
        now: nanoseconds since the epoch.
        new_parent: the parent it gets, if ``require_new_parent`` asked for one.

    Returns:
        The committed snapshot; the usage of a local one is not known yet.

    Raises:
        FailedPreconditionError: the snapshot is not active, or the new parent is not committed.
        InvalidArgumentError: the new parent is not the one for which a staged layer was made.
    """
    require_active(snapshot)
    committed = attrs.evolve(
        snapshot,
        name=name,
        kind=Kind.COMMITTED,
        created_at=now,
        updated_at=now,
        labels=labels,
        usage=None,
    )
    if snapshot.layer is not None:
        committed = attrs.evolve(
            committed,
            labels=_labels_of_remote(snapshot.layer, snapshot.target, labels),
            usage=NOTHING_LOCAL,
        )
        _require_staged_for(snapshot, new_parent)
    if new_parent is None:
        return committed
    if new_parent.kind is not Kind.COMMITTED:
        raise FailedPreconditionError(
            f"parent {new_parent.name!r} is {new_parent.kind.value}: "
            "only a committed snapshot can be one"
        )
    return attrs.evolve(committed, parent_identifier=new_parent.identifier, parent=new_parent.name)


def _require_staged_for(snapshot: Snapshot, parent: Snapshot | None) -> None:
    wanted = snapshot.labels.get(label_rules.PARENT_CHAIN_ID, "")
    below = parent.chain_id if parent else None
    if parent is None or (below is not None and str(below) != wanted):
        raise InvalidArgumentError(
            f"snapshot {snapshot.name!r} is a layer that was prepared for the parent {wanted!r}: "
            f"it cannot be committed on {str(below or '')!r}"
        )


def relabel(snapshot: Snapshot, change: label_rules.LabelChange, *, now: int) -> Snapshot:
    """Change the labels of a snapshot.

    Args:
        snapshot: any snapshot.
        change: what to change; see ``domain.labels``.
        now: nanoseconds since the epoch.

    Returns:
        The snapshot with its new labels and update time.

    Raises:
        InvalidArgumentError: the change would take the target from a remote snapshot, by which
            containerd finds it.
    """
    keep = {label_rules.TARGET: snapshot.target} if snapshot.remote else {}
    return attrs.evolve(snapshot, labels=change.apply(snapshot.labels, keep=keep), updated_at=now)


def require_childless(snapshot: Snapshot, *, has_children: bool) -> None:
    """Refuse to remove what others stand on.

    Args:
        snapshot: the one to remove.
        has_children: whether another snapshot names it as parent.

    Raises:
        FailedPreconditionError: it has children.
    """
    if has_children:
        raise FailedPreconditionError(
            f"snapshot {snapshot.name!r} has children: remove them first"
        )


def require_mountable(snapshot: Snapshot) -> None:
    """Refuse mounts of a committed snapshot, which is for standing on.

    Args:
        snapshot: the one to mount.

    Raises:
        FailedPreconditionError: it is committed.
    """
    if snapshot.kind is Kind.COMMITTED:
        raise FailedPreconditionError(
            f"snapshot {snapshot.name!r} is committed: prepare or view a child of it to mount it"
        )
