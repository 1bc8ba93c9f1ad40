"""Images made of layers: configuration, manifest, chain IDs."""

import json
from functools import cached_property

import attrs

from tests.harness.layers import Layer, chain_ids, digest_of


@attrs.frozen
class MediaTypes:
    """Names of the parts of an image in one of the two families of formats."""

    manifest: str
    config: str
    layer: str


DOCKER = MediaTypes(
    manifest="application/vnd.docker.distribution.manifest.v2+json",
    config="application/vnd.docker.container.image.v1+json",
    layer="application/vnd.docker.image.rootfs.diff.tar.gzip",
)
OCI = MediaTypes(
    manifest="application/vnd.oci.image.manifest.v1+json",
    config="application/vnd.oci.image.config.v1+json",
    layer="application/vnd.oci.image.layer.v1.tar+gzip",
)


@attrs.frozen(slots=False)
class Image:
    """An image for linux/amd64.

    Attributes:
        name: Repository and tag, without a registry: "a:latest".
        layers: The lowest first.
        command: What a container runs when it is not told otherwise.
    """

    name: str
    layers: tuple[Layer, ...]
    command: tuple[str, ...] = ("/bin/sh",)
    media_types: MediaTypes = DOCKER

    @property
    def repository(self) -> str:
        """The name without the tag."""
        return self.name.rpartition(":")[0]

    @property
    def tag(self) -> str:
        """The name after the colon."""
        return self.name.rpartition(":")[2]

    @cached_property
    def chain_ids(self) -> list[str]:
        """The chain ID of each layer, the lowest first."""
        return chain_ids(layer.diff_id for layer in self.layers)

    @cached_property
    def config(self) -> bytes:
        """The image's configuration (OCI image configuration, JSON)."""
        return _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": list(self.command), "Env": ["PATH=/bin:/usr/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in self.layers]},
                "history": [{"created_by": "tests"} for _ in self.layers],
            }
        )

    @cached_property
    def manifest(self) -> bytes:
        """The manifest as a registry serves it (JSON)."""
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": self.media_types.manifest,
                "config": _descriptor(self.media_types.config, self.config),
                "layers": [_descriptor(self.media_types.layer, each.blob) for each in self.layers],
            }
        )

    @property
    def manifest_digest(self) -> str:
        """Digest of the manifest."""
        return digest_of(self.manifest)

    @property
    def config_digest(self) -> str:
        """Digest of the configuration: what the CRI calls the image's ID."""
        return digest_of(self.config)


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "size": len(data), "digest": digest_of(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
