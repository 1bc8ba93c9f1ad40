"""Sizes of layers, from what containerd has of their images."""

from collections.abc import Iterable, Mapping

from cvmfs_snapshotter.adapters.bolt import Content
from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.domain.manifests import Index, Manifest, read_manifest

_DEEPEST = 3


def sizes_of(content: Content, digests: Iterable[Digest]) -> Mapping[Digest, int]:
    """Give the sizes of compressed layers in bytes, as far as they are known.

    A layer's blob may be gone, with ``discard_unpacked_layers`` for one; manifests that name it
    stay for as long as the image.

    Args:
        content: containerd's.
        digests: of the layers.

    Raises:
        ContainerdError: its database is damaged.
    """
    wanted = set(digests)
    found = {digest: size for digest in wanted if (size := content.size(digest)) is not None}
    if wanted.issubset(found):
        return found
    for image in content.images():
        for layer, size in _named(content, image.digest, 0):
            if layer in wanted:
                found.setdefault(layer, size)
    return found


def _named(content: Content, digest: Digest, depth: int) -> Iterable[tuple[Digest, int]]:
    data = content.blob(digest) if depth <= _DEEPEST else None
    match read_manifest(data) if data is not None else None:
        case Manifest(layers=layers):
            for layer in layers:
                if layer.digest is not None and layer.size is not None:
                    yield layer.digest, layer.size
        case Index(manifests=manifests):
            for manifest in manifests:
                if manifest.digest is not None:
                    yield from _named(content, manifest.digest, depth + 1)
