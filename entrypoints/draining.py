"""What has to be done before the snapshotter can be switched off."""

from collections.abc import Iterator
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.bolt import (
    ContainerdError,
    Content,
    open_content,
    read_records,
)
from cvmfs_snapshotter.domain.draining import DependentImage, Dependents, dependents
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.manifests import Manifest
from cvmfs_snapshotter.domain.ports.store import Position, Records
from cvmfs_snapshotter.domain.snapshot import Snapshot

from . import databases
from .errors import StartError
from .explain.images import manifest_of

_PAGE = 1000


@attrs.frozen
class Download:
    """What an image has to be pulled for.

    Attributes:
        image: the image.
        layers: layers that containerd has no content of; None if its manifest is not there.
        size: their bytes; None if the size of one is not known.
    """

    image: DependentImage
    layers: int | None
    size: int | None


@attrs.frozen
class DrainPlan:
    """What has to be done.

    Attributes:
        dependents: all that stands on remote snapshots.
        downloads: of their images.
    """

    dependents: Dependents
    downloads: tuple[Download, ...]


def plan(root: str, containerd_root: str, snapshotter: str, platform: str) -> DrainPlan:
    """Find out what has to be done; nothing is changed, and a daemon may be running.

    Args:
        root: the state directory.
        containerd_root: containerd's root directory.
        snapshotter: name of the proxy plugin.
        platform: of the machine.

    Raises:
        StartError: our records, or containerd's, cannot be read.
    """
    try:
        # Before our records: what is pulled meanwhile is then known to us, and not the reverse.
        known = read_records(Path(containerd_root), snapshotter)
        content = open_content(Path(containerd_root))
        names = databases.read(root, lambda records: [s.name for s in _remote(records)])
        found = dependents(known, names)
        digests = {(i.namespace, i.name): i.digest for i in content.images()}
        downloads = []
        for image in found.images:
            digest = digests.get((image.namespace, image.name))
            manifest = manifest_of(content, digest, platform) if digest is not None else None
            if manifest is None:
                downloads.append(Download(image, None, None))
                continue
            downloads.append(_download(content, image, manifest))
    except ContainerdError as error:
        raise StartError(str(error)) from error
    return DrainPlan(found, tuple(downloads))


def _remote(records: Records) -> Iterator[Snapshot]:
    after: Position | None = None
    while page := records.page(Pins(), after, _PAGE):
        for snapshot in page:
            # Remote ones come first in the order of a listing.
            if not snapshot.remote:
                return
            yield snapshot
        after = Position.of(page[-1])


def _download(content: Content, image: DependentImage, manifest: Manifest) -> Download:
    missing = [
        layer
        for layer in manifest.layers
        if layer.digest is None or content.size(layer.digest) is None
    ]
    sizes = [layer.size for layer in missing if layer.size is not None]
    return Download(image, len(missing), sum(sizes) if len(sizes) == len(missing) else None)
