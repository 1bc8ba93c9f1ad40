"""Why a snapshot is what it is, as far as its record tells."""

from collections.abc import Sequence

from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.containerd import ContainerdRecords
from cvmfs_snapshotter.domain.layer import Digest, Miss, Reason
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from cvmfs_snapshotter.domain.usecases.decide import asked_for

from .found import Remembered


def digest_of(snapshot: Snapshot) -> Digest | None:
    """Give the digest of the compressed layer of a snapshot; None if it is not known."""
    if snapshot.layer is not None:
        return snapshot.layer.digest
    return Digest.parse(snapshot.labels.get(label_rules.LAYER_DIGEST, ""))


def decision(snapshot: Snapshot, remembered: Sequence[Remembered]) -> tuple[str, str]:
    """Tell what was decided when a snapshot was made.

    Args:
        snapshot: the snapshot.
        remembered: misses of its layer, the latest first.

    Returns:
        The reason, empty if there was nothing to decide; and the decision in words.
    """
    if snapshot.layer is not None:
        companion = "" if snapshot.companion is None else ", with a companion that corrects it"
        return Reason.HIT.value, f"used from source {snapshot.layer.source!r}{companion}"
    if label_rules.TARGET not in snapshot.labels:
        return _without_target(snapshot)
    wanted = asked_for(snapshot.labels)
    if isinstance(wanted, Miss):
        return wanted.reason.value, wanted.detail
    if remembered:
        return remembered[0].reason, "downloaded; this is its last miss that is remembered"
    return "unknown", "downloaded; why is not remembered any more"


def _without_target(snapshot: Snapshot) -> tuple[str, str]:
    if snapshot.kind is not Kind.COMMITTED:
        return "", "made for a container, or for what its client does itself"
    if snapshot.chain_id is None:
        return "", "committed by a client, and no layer of an image"
    words = (
        f"label {label_rules.TARGET!r} is missing: its client had downloaded the layer before it "
        "asked for a snapshot"
    )
    return Reason.NO_TARGET.value, words


def names_for(records: ContainerdRecords, wanted: str) -> Sequence[str]:
    """Give our names of what containerd calls by a key, or of what a container stands on.

    Args:
        records: containerd's.
        wanted: key of a snapshot, or identifier of a container.
    """
    keys = {(c.namespace, c.key) for c in records.containers if c.identifier == wanted}
    return [
        snapshot.name
        for snapshot in records.snapshots
        if snapshot.key == wanted or (snapshot.namespace, snapshot.key) in keys
    ]
