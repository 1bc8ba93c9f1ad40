"""What containerd has in its store of content: names of images, and blobs.

The buckets are those of containerd's ``core/metadata/buckets.go``:
``v1/<namespace>/images/<name>/target`` and ``v1/<namespace>/content/blob/<digest>/size``. The
blobs are files of the local store (``plugins/content/local/store.go``), for all namespaces.
"""

import hashlib
from pathlib import Path

from cvmfs_snapshotter.domain.containerd import KnownImage
from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.domain.manifests import MAX_MANIFEST_BYTES

from .containerd import DATABASE, ContainerdError
from .reader import BoltError, Bucket, open_bolt

BLOBS = "io.containerd.content.v1.content/blobs/sha256"
"""Where the blobs are, below containerd's root directory."""

_VERSION = b"v1"


class Content:
    """containerd's content as of one moment; blobs that are collected since are just not there."""

    def __init__(self, root: Path, database: Bucket) -> None:
        """Take what was opened; see ``open_content``."""
        self._root = root
        top = database.bucket(_VERSION)
        self._namespaces = dict(top.buckets()) if top else {}

    def images(self) -> list[KnownImage]:
        """Give every image of every namespace whose target is under sha256.

        Raises:
            ContainerdError: the database is damaged.
        """
        try:
            return [
                image
                for name, namespace in self._namespaces.items()
                for image in _images(name.decode(errors="backslashreplace"), namespace)
            ]
        except BoltError as error:
            raise _damaged(self._root, error) from error

    def size(self, digest: Digest) -> int | None:
        """Give the size of a blob in bytes; None if it is not there.

        Raises:
            ContainerdError: the database is damaged.
        """
        try:
            for namespace in self._namespaces.values():
                blob = namespace.bucket(b"content", b"blob", str(digest).encode())
                size = blob.value(b"size") if blob else None
                if size is not None:
                    return _varint(size)
        except BoltError as error:
            raise _damaged(self._root, error) from error
        return None

    def blob(self, digest: Digest) -> bytes | None:
        """Read a manifest or a configuration.

        Args:
            digest: its name; what is there under it must have it.

        Returns:
            The content; None if it is not there, cannot be read, is too long for a manifest, or
            is something else.
        """
        try:
            with (self._root / BLOBS / digest.hex).open("rb") as file:
                data = file.read(MAX_MANIFEST_BYTES + 1)
        except OSError:
            return None
        if len(data) > MAX_MANIFEST_BYTES or hashlib.sha256(data).hexdigest() != digest.hex:
            return None
        return data


def open_content(root: Path) -> Content:
    """Open containerd's store of content, also while it runs.

    Args:
        root: containerd's root directory, usually ``/var/lib/containerd``.

    Returns:
        What is in it.

    Raises:
        ContainerdError: there is no such database, or it cannot be read.
    """
    path = root / DATABASE
    try:
        return Content(root, open_bolt(path))
    except OSError as error:
        raise ContainerdError(
            f"{path} cannot be read: {error.strerror}; name containerd's root directory with "
            "--containerd-root"
        ) from error
    except BoltError as error:
        raise _damaged(root, error) from error


def _damaged(root: Path, error: BoltError) -> ContainerdError:
    return ContainerdError(f"{root / DATABASE} cannot be read: {error}")


def _images(namespace: str, bucket: Bucket) -> list[KnownImage]:
    images = bucket.bucket(b"images")
    found = []
    for name, fields in images.buckets() if images else ():
        target = fields.bucket(b"target")
        spelled = target.value(b"digest") if target else None
        digest = Digest.parse((spelled or b"").decode(errors="replace"))
        if digest is not None:
            found.append(KnownImage(namespace, name.decode(errors="backslashreplace"), digest))
    return found


def _varint(data: bytes) -> int | None:
    """Read a number as Go's ``binary.PutVarint`` writes it; None if it is not one."""
    number = 0
    for place, byte in enumerate(data[:10]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number lacks the topmost bit
            return number >> 1 if not number & 1 else None
    return None
