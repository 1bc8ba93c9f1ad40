"""Manifests and indexes of images, as registries and as DUCC write them."""

import json
from collections.abc import Iterator, Mapping

import attrs

from .layer import Digest

MAX_MANIFEST_BYTES = 8 * 1024 * 1024
"""Longest manifest that is read; registries refuse far shorter ones."""

MAX_LAYERS = 1000
"""Most layers, or manifests in an index, that are read."""


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


def platforms_of(data: bytes) -> str:
    """Read the platform from an image's configuration; empty if there is none in it.

    Args:
        data: the JSON text; it may be anything.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        return ""
    try:
        return _platform(_folded(json.loads(data)))
    except (ValueError, RecursionError):
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
