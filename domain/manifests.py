"""Manifests and indexes of images, as registries and as DUCC write them."""

import json
from collections.abc import Iterator, Mapping

import attrs

from .layer import Digest

MAX_MANIFEST_BYTES = 8 * 1024 * 1024
"""Longest manifest that is read; registries refuse far shorter ones."""

MAX_LAYERS = 1000
"""Most layers, or manifests in an index, that are read."""


_PUBLISHED = "linux/amd64"


@attrs.frozen
class Descriptor:
    """What a manifest or an index refers to.

    Attributes:
        media_type: as it is written there.
        digest: of the content; None if it is under another algorithm than sha256.
        size: bytes; None if it is not written.
        platform: ``os/architecture`` or ``os/architecture/variant``; empty if it is not written.
        spelled: the digest as it is written.
    """

    media_type: str
    digest: Digest | None
    size: int | None
    platform: str = ""
    spelled: str = ""


@attrs.frozen
class Manifest:
    """One image for one platform.

    Attributes:
        config: its configuration.
        layers: the bottom one first.
    """

    config: Descriptor | None
    layers: tuple[Descriptor, ...]


@attrs.frozen
class Index:
    """An image for several platforms.

    Attributes:
        manifests: in the order in which they are written.
    """

    manifests: tuple[Descriptor, ...]


def read_manifest(data: bytes) -> Manifest | Index | None:
    """Read a manifest or an index.

    The keys are those of the OCI image specification. DUCC writes its copy from a structure of Go
    that has no names for JSON, so that the keys there begin with capital letters: any case will
    do, as in Go's own reader.

    Args:
        data: the JSON text; it may be anything.

    Returns:
        What it is; None if it is neither.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        return None
    try:
        top = _folded(json.loads(data))
    except (ValueError, RecursionError):
        return None
    manifests = _listed(top.get("manifests"))
    if manifests is not None:
        return Index(manifests)
    layers = _listed(top.get("layers"))
    if layers is None:
        return None
    return Manifest(_descriptor(_folded(top.get("config"))), layers)


@attrs.frozen
class Configuration:
    """What an image's configuration says about its layers.

    Attributes:
        platform: ``os/architecture`` or ``os/architecture/variant``; empty if it is not written.
        diff_ids: digests of the uncompressed layers, the bottom one first; empty if they are not
            written, or not all under sha256.
    """

    platform: str = ""
    diff_ids: tuple[Digest, ...] = ()


def read_configuration(data: bytes) -> Configuration:
    """Read an image's configuration.

    Args:
        data: the JSON text; it may be anything.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        return Configuration()
    try:
        top = _folded(json.loads(data))
    except (ValueError, RecursionError):
        return Configuration()
    written = _folded(top.get("rootfs")).get("diff_ids")
    spelled = written if isinstance(written, list) else []
    diff_ids = [Digest.parse(text) for text in spelled if isinstance(text, str)]
    known = tuple(digest for digest in diff_ids if digest is not None)
    return Configuration(_platform(top), known if len(known) == len(spelled) else ())


def why_never_published(layer: Descriptor, platform: str) -> str:
    """Tell why a publisher that runs DUCC cannot publish a layer, or does not.

    It passes every layer through gunzip, skips foreign ones, knows sha256 only, and takes the
    manifest for linux/amd64 from an index (``ducc/lib/image.go``).

    Args:
        layer: as its manifest describes it.
        platform: of the image; empty if unknown.

    Returns:
        The cause in words; empty if nothing is known that keeps it from being published.
    """
    kind = layer.media_type
    if layer.digest is None:
        return f"its digest {layer.spelled[:80]!r} is not under sha256"
    if kind.endswith(("+zstd", ".zstd")):
        return "it is compressed with zstd, and only gzip can be published"
    if "foreign" in kind or "nondistributable" in kind:
        return "it is a foreign layer, which publishers skip"
    if kind and not kind.endswith("gzip"):
        return f"its media type is {kind[:80]!r}, and only gzip can be published"
    if platform and not platform.startswith(_PUBLISHED):
        return f"its image is for {platform}, and of an index only {_PUBLISHED} is published"
    return ""


def _listed(value: object) -> tuple[Descriptor, ...] | None:
    if not isinstance(value, list) or len(value) > MAX_LAYERS:
        return None
    found = tuple(_descriptors(value))
    return found if len(found) == len(value) else None


def _descriptors(values: list[object]) -> Iterator[Descriptor]:
    for value in values:
        found = _descriptor(_folded(value))
        if found is not None:
            yield found


def _descriptor(fields: Mapping[str, object]) -> Descriptor | None:
    spelled, kind, size = fields.get("digest"), fields.get("mediatype"), fields.get("size")
    if not isinstance(spelled, str):
        return None
    known = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return Descriptor(
        kind if isinstance(kind, str) else "",
        Digest.parse(spelled),
        size if known and isinstance(size, int) else None,
        _platform(_folded(fields.get("platform"))),
        spelled,
    )


def _platform(fields: Mapping[str, object]) -> str:
    parts = [fields.get(key) for key in ("os", "architecture", "variant")]
    named = [part for part in parts if isinstance(part, str) and part]
    return "/".join(named) if len(named) > 1 else ""


def _folded(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        return {}
    return {str(key).lower(): inside for key, inside in value.items()}
