"""Snapshots in the plain values that JSON has."""

from collections.abc import Sequence

import attrs

from cvmfs_snapshotter.domain.snapshot import Snapshot, Usage

from ..recipe import moment


def plain(snapshot: Snapshot) -> dict[str, object]:
    """Give a snapshot as ``ls``, ``tree`` and ``info`` print it with ``--json``.

    Moments are RFC 3339 in UTC, sizes bytes; what does not exist or is not known is null.
    """
    layer = snapshot.layer
    return {
        "name": snapshot.name,
        "kind": snapshot.kind.value,
        "identifier": snapshot.identifier,
        "parent": snapshot.parent or None,
        "source": layer.source if layer else None,
        "digest": str(layer.digest) if layer else None,
        "chain_id": str(snapshot.chain_id) if snapshot.chain_id else None,
        "staged": snapshot.staged,
        "created_at": moment(snapshot.created_at),
        "updated_at": moment(snapshot.updated_at),
        "usage": plain_usage(snapshot.usage),
        "labels": dict(sorted(snapshot.labels.items())),
    }


def plain_usage(usage: Usage | None) -> dict[str, int] | None:
    """Give what a snapshot takes on the local disk; None if it is not known."""
    return None if usage is None else attrs.asdict(usage)


def plain_list(snapshots: Sequence[Snapshot]) -> dict[str, object]:
    """Give a listing."""
    return {"snapshots": [plain(snapshot) for snapshot in snapshots]}
