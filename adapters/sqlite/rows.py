"""Rows to snapshots and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cvmfs_snapshotter.domain.companions import Companion, Directory, Names
from cvmfs_snapshotter.domain.layer import Digest, Layer
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
        companion,
        staged,
        parent,
        above,
        below,
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
        companion=None if companion is None else Companion(companion, bool(above), bool(below)),
        usage=None if size is None else Usage(size, inodes),
        staged=bool(staged),
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
        "companion": snapshot.companion.number if snapshot.companion else None,
        "staged": int(snapshot.staged),
    }


def names_of(text: str) -> Names:
    """Make what the names in a layer say from its stored form."""
    stored = json.loads(text)
    return Names(
        entries=stored["entries"],
        markers=_paths(stored["markers"]),
        directories=tuple(
            Directory(_path(path), *numbers) for path, *numbers in stored["directories"]
        ),
        implied=_paths(stored["implied"]),
        owners=tuple((uid, gid) for uid, gid in stored["owners"]),
        unusable=_path(stored["unusable"]),
        stamp=stored["stamp"],
    )


def text_of(names: Names) -> str:
    """Make the stored form of what the names in a layer say."""
    fields: Mapping[str, object] = {
        "entries": names.entries,
        "markers": [_stored(path) for path in names.markers],
        "directories": [
            [_stored(d.path), d.mode, d.uid, d.gid, d.mtime] for d in names.directories
        ],
        "implied": [_stored(path) for path in names.implied],
        "owners": names.owners,
        "unusable": _stored(names.unusable),
        "stamp": names.stamp,
    }
    return json.dumps(fields, separators=(",", ":"))


def _stored(path: bytes) -> str:
    # Names need not be UTF-8; this spelling has a character for every byte.
    return path.decode("latin-1")


def _path(text: str) -> bytes:
    return text.encode("latin-1")


def _paths(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(map(_path, texts))
