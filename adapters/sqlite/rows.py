"""Rows to snapshots and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cvmfs_snapshotter.domain.layer import Digest, Layer, Names
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot, Usage

_KINDS = {kind.value: kind for kind in Kind}

Row = Sequence[Any]


def snapshot_of(row: Row) -> Snapshot:
    """Make the snapshot that a row of ``statements`` describes."""
    (
        identifier,
        name,
        parent_id,
        kind,
        _local,
        created_at,
        updated_at,
        labels,
        _target,
        source,
        digest,
        size,
        inodes,
        parent,
    ) = row
    return Snapshot(
        identifier=identifier,
        name=name,
        parent_identifier=parent_id,
        parent=parent,
        kind=_KINDS[kind],
        created_at=created_at,
        updated_at=updated_at,
        labels=json.loads(labels),
        layer=None if digest is None else Layer(source, Digest(digest)),
        usage=None if size is None else Usage(size, inodes),
    )


def row_of(snapshot: Snapshot) -> dict[str, object]:
    """Make the columns of a snapshot."""
    layer, usage = snapshot.layer, snapshot.usage
    return {
        "id": snapshot.identifier,
        "name": snapshot.name,
        "parent_id": snapshot.parent_identifier,
        "kind": snapshot.kind.value,
        "local": int(layer is None),
        "created_at": snapshot.created_at,
        "updated_at": snapshot.updated_at,
        "labels": json.dumps(dict(snapshot.labels), ensure_ascii=False, separators=(",", ":")),
        "target": snapshot.target,
        "source": layer.source if layer else None,
        "digest": layer.digest.hex if layer else None,
        "size": usage.size if usage else None,
        "inodes": usage.inodes if usage else None,
    }


def names_of(text: str) -> Names:
    """Make what the names in a layer say from its stored form."""
    return Names(**json.loads(text))


def text_of(names: Names) -> str:
    """Make the stored form of what the names in a layer say."""
    fields: Mapping[str, object] = {
        "entries": names.entries,
        "whiteouts": names.whiteouts,
        "catalogs_below_root": names.catalogs_below_root,
        "example": names.example,
    }
    return json.dumps(fields)
