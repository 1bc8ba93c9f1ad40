"""Names of images, read strictly: they come from whoever asks for a pull."""

import re
from typing import Self

import attrs

from .layer import Digest

MAX_LENGTH = 1024
"""Longest reference that is read. A label may be four times as long."""

_DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry.hub.docker.com"
"""What DUCC's recipes call Docker Hub: a URL is to be reached there."""

# The grammar of distribution's "reference" package, without names that lack a registry.
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62})(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62}))*)"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<registry>{_HOST}(?::[0-9]{{1,5}})?)"
    rf"/(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


@attrs.frozen
class Reference:
    """The name of an image.

    Attributes:
        registry: host and port.
        repository: path in it.
        tag: empty only if there is a digest.
        digest: of the manifest or index; None if it is not named.
    """

    registry: str
    repository: str
    tag: str
    digest: Digest | None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a reference in full, as containerd and the kubelet write it.

        Args:
            text: such as ``docker.io/library/busybox:1.36``; it may be anything.

        Returns:
            The reference, its tag ``latest`` if it names neither tag nor digest; None if it is not
            one that names its registry.
        """
        found = _REFERENCE.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if found is None or not _names_a_registry(found["registry"]):
            return None
        digest = Digest.parse(found["digest"]) if found["digest"] else None
        tag = found["tag"] or ("" if digest else "latest")
        return cls(found["registry"], found["repository"], tag, digest)

    def __str__(self) -> str:
        """Spell it as containerd does."""
        return f"{self.registry}/{self._rest}"

    @property
    def _rest(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def url(self) -> str:
        """The image as DUCC's recipes name it (``ducc/lib/parse.go``)."""
        return f"https://{self._publishers_registry}/{self._rest}"

    @property
    def published_names(self) -> tuple[str, ...]:
        """Directories below ``.metadata`` of a repository in which DUCC may keep its manifest.

        Docker Hub has two names, and a recipe may use either.
        """
        names = dict.fromkeys((self._publishers_registry, self.registry))
        return tuple(f"{registry}/{self._rest}" for registry in names)

    @property
    def _publishers_registry(self) -> str:
        return _DOCKER_HUB_API if self.registry == _DOCKER_HUB else self.registry


def _names_a_registry(host: str) -> bool:
    # "library/busybox" has none; Docker's rule is that a host has a dot or a port, or is this one.
    return "." in host or ":" in host or host == "localhost"
