"""What containerd has recorded about a snapshotter's snapshots, read from its own database.

Its socket could not tell: a listing there leaves out every snapshot that the snapshotter does not
have, and those are the ones that matter here. The buckets are those of containerd's
``core/metadata/buckets.go``, which have not changed since 1.0:
``v1/<namespace>/snapshots/<snapshotter>/<key>`` and ``v1/<namespace>/images/<name>/target``.
"""

from collections.abc import Iterator
from pathlib import Path

from cvmfs_snapshotter.domain.containerd import (
    ContainerdRecords,
    KnownContainer,
    KnownSnapshot,
)

from .reader import BoltError, Bucket, open_bolt

DATABASE = "io.containerd.metadata.v1.bolt/meta.db"
"""Where the database is, below containerd's root directory."""

_VERSION = b"v1"
_CONFIG = b"containerd.io/gc.ref.content.config"
_MANIFEST = b"containerd.io/gc.ref.content.m."
_TOP = b"containerd.io/gc.ref.snapshot."
_KIND = b"io.cri-containerd.kind"
_DEEPEST = 3


class ContainerdError(Exception):
    """containerd's database cannot be read; the message says why and what to do."""


def read_records(root: Path, snapshotter: str) -> ContainerdRecords:
    """Read what containerd has recorded, also while it runs.

    Args:
        root: containerd's root directory, usually ``/var/lib/containerd``.
        snapshotter: name of the proxy plugin.

    Returns:
        The records; none if containerd never used the snapshotter.

    Raises:
        ContainerdError: there is no such database, or it cannot be read.
    """
    path = root / DATABASE
    try:
        database = open_bolt(path)
        return _records(database, snapshotter.encode())
    except OSError as error:
        raise ContainerdError(
            f"{path} cannot be read: {error.strerror}; name containerd's root directory with "
            "--containerd-root"
        ) from error
    except BoltError as error:
        raise ContainerdError(f"{path} cannot be read: {error}") from error


def _records(database: Bucket, snapshotter: bytes) -> ContainerdRecords:
    snapshots: list[KnownSnapshot] = []
    containers: list[KnownContainer] = []
    images: dict[tuple[str, str], tuple[str, ...]] = {}
    top = database.bucket(_VERSION)
    for name, bucket in top.buckets() if top else ():
        namespace = name.decode(errors="backslashreplace")
        snapshots += _snapshots(namespace, bucket.bucket(b"snapshots", snapshotter))
        containers += _containers(namespace, bucket.bucket(b"containers"), snapshotter)
        for key, image in _images(bucket, snapshotter):
            images[namespace, key] = (*images.get((namespace, key), ()), image)
    return ContainerdRecords(tuple(snapshots), tuple(containers), images)


def _snapshots(namespace: str, bucket: Bucket | None) -> Iterator[KnownSnapshot]:
    for key, fields in bucket.buckets() if bucket else ():
        name, parent = fields.value(b"name") or b"", fields.value(b"parent") or b""
        yield KnownSnapshot(namespace, _text(key), _text(name), _text(parent))


def _containers(
    namespace: str, bucket: Bucket | None, snapshotter: bytes
) -> Iterator[KnownContainer]:
    for identifier, fields in bucket.buckets() if bucket else ():
        if fields.value(b"snapshotter") == snapshotter:
            key = fields.value(b"snapshotKey") or b""
            labels = fields.bucket(b"labels")
            sandbox = labels is not None and labels.value(_KIND) == b"sandbox"
            yield KnownContainer(namespace, _text(identifier), _text(key), sandbox)


def _images(namespace: Bucket, snapshotter: bytes) -> Iterator[tuple[str, str]]:
    images, blobs = namespace.bucket(b"images"), namespace.bucket(b"content", b"blob")
    if images is None or blobs is None:
        return
    for name, fields in images.buckets():
        target = fields.bucket(b"target")
        digest = target.value(b"digest") if target else None
        if digest:
            for key in _tops(blobs, digest, _TOP + snapshotter, 0):
                yield _text(key), _text(name)


def _tops(blobs: Bucket, digest: bytes, label: bytes, depth: int) -> Iterator[bytes]:
    """Follow an index to its manifests and those to their configurations, whose label it is."""
    labels = blobs.bucket(digest, b"labels")
    if labels is None or depth > _DEEPEST:
        return
    for key, value in labels.values():
        if key == label:
            yield value
        elif key == _CONFIG or key.startswith(_MANIFEST):
            yield from _tops(blobs, value, label, depth + 1)


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
