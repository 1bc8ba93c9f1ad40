"""Finding the manifest of an image, without a registry."""

from collections.abc import Iterator, Sequence

import attrs

from cvmfs_snapshotter.adapters.bolt import Content
from cvmfs_snapshotter.adapters.layers.inspection import published_manifest
from cvmfs_snapshotter.adapters.layers.prober import Prober
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.domain.layer import Digest, Miss, Reason
from cvmfs_snapshotter.domain.manifests import (
    Configuration,
    Index,
    Manifest,
    read_configuration,
    read_manifest,
)
from cvmfs_snapshotter.domain.references import Reference

_DEEPEST = 3
_HUB = "docker.io"


@attrs.frozen
class FoundImage:
    """An image whose layers are known.

    Attributes:
        name: its reference, or its digest.
        origin: where it was found, in words.
        manifest: its layers.
        configuration: what is known of the image's own words about them.
    """

    name: str
    origin: str
    manifest: Manifest
    configuration: Configuration


def spellings(name: str) -> Sequence[str]:
    """Give the full names that a short one may stand for, as Docker and nerdctl take them.

    Args:
        name: such as ``busybox`` or ``ghcr.io/a/b:1``.

    Returns:
        Names that begin with a registry, the most literal first; none if it can be no name.
    """
    candidates = [name, f"{_HUB}/{name}"]
    if "/" not in name:
        candidates[1:] = [f"{_HUB}/library/{name}"]
    parsed = [Reference.parse(candidate) for candidate in candidates]
    return [str(reference) for reference in parsed if reference is not None]


def in_containerd(content: Content, name: str, platform: str) -> FoundImage | None:
    """Look for an image in containerd's store of content.

    Args:
        content: containerd's.
        name: of the image, as the user gave it.
        platform: of the machine, to choose by from an index.

    Returns:
        The image; None if containerd has no such name, or not its manifest.

    Raises:
        ContainerdError: its database is damaged.
    """
    images = content.images()
    for wanted in dict.fromkeys((name, *spellings(name))):
        for image in images:
            if image.name == wanted:
                found = manifest_of(content, image.digest, platform)
                if found is not None:
                    origin = f"containerd, namespace {image.namespace!r}"
                    return _found(content, wanted, origin, found)
    return None


def by_digest(content: Content, digest: Digest, platform: str) -> FoundImage | None:
    """Look for the index or manifest of that digest in containerd's store of content."""
    found = manifest_of(content, digest, platform)
    return None if found is None else _found(content, str(digest), "containerd", found)


def _found(content: Content, name: str, origin: str, manifest: Manifest) -> FoundImage:
    config = manifest.config.digest if manifest.config else None
    data = content.blob(config) if config is not None else None
    return FoundImage(name, origin, manifest, read_configuration(data or b""))


def manifest_of(content: Content, digest: Digest, platform: str) -> Manifest | None:
    """Give the manifest that an image has here.

    Args:
        content: containerd's.
        digest: of its index or manifest.
        platform: of the machine, to choose by from an index.

    Returns:
        The manifest; None if it is not there.
    """
    return _manifest(content, digest, platform, 0)


def _manifest(content: Content, digest: Digest, platform: str, depth: int) -> Manifest | None:
    data = content.blob(digest) if depth <= _DEEPEST else None
    found = read_manifest(data) if data is not None else None
    if not isinstance(found, Index):
        return found
    # An index names many platforms, of which a pull has left this machine's in the store.
    ordered = sorted(found.manifests, key=lambda m: not m.platform.startswith(platform))
    inside = (_manifest(content, m.digest, platform, depth + 1) for m in ordered if m.digest)
    return next((manifest for manifest in inside if manifest is not None), None)


def on_sources(
    prober: Prober, sources: Sequence[SourceSettings], name: str
) -> tuple[FoundImage | None, list[str]]:
    """Look for the copy of an image's manifest that its publisher keeps.

    Args:
        prober: puts requests to the probe processes.
        sources: where to look, in this order.
        name: of the image, as the user gave it.

    Returns:
        The image, None if no source has its manifest; and what kept a source from being looked at.
    """
    troubles: list[str] = []
    references = [Reference.parse(spelling) for spelling in spellings(name)]
    for source in sources:
        for reference in references:
            found = _published(prober, source, reference, troubles) if reference else None
            if found is not None:
                return found, troubles
    return None, troubles


def _published(
    prober: Prober, source: SourceSettings, reference: Reference, troubles: list[str]
) -> FoundImage | None:
    for published in _places(reference):
        answer = published_manifest(prober, source, published, source.lookup_deadline)
        if isinstance(answer, Miss):
            if answer.reason is not Reason.ABSENT:
                troubles.append(f"source {source.name!r}: {answer.reason.value}: {answer.detail}")
                return None
            continue
        manifest = read_manifest(answer)
        if isinstance(manifest, Manifest):
            origin = f"source {source.name!r}, .metadata/{published}/manifest.json"
            # What a publisher keeps is the one platform that it has converted.
            platform = "linux/amd64" if source.kind is SourceKind.CVMFS else ""
            return FoundImage(str(reference), origin, manifest, Configuration(platform))
        troubles.append(f"source {source.name!r}: the manifest of {published} is not one")
    return None


def _places(reference: Reference) -> Iterator[str]:
    yield from reference.published_names
