"""What is configured about a source."""

from enum import Enum

import attrs

from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.domain.policy import Policy


class SourceKind(Enum):
    """What a source is."""

    CVMFS = "cvmfs"
    DIRECTORY = "directory"


@attrs.frozen
class SourceSettings:
    """One source.

    Attributes:
        name: its name in logs, metrics and commands.
        kind: a CVMFS repository, or a plain directory on any file system.
        repository: fully qualified name of the repository; of no meaning for a directory.
        path: its root as this process sees it.
        host_path: its root as containerd mounts it.
        lookup_deadline: seconds that a look-up may take; for a scan, seconds without progress.
        scan_deadline: seconds that a request may wait for a scan that makes progress.
        keep_mounted: whether to hold the root open, so that no automounter lets it expire.
        policy: what is done about layers that differ from their image.
    """

    name: str
    kind: SourceKind = attrs.field(converter=SourceKind)
    repository: str
    path: str
    host_path: str = attrs.field(default=attrs.Factory(lambda self: self.path, takes_self=True))
    lookup_deadline: float = 5.0
    scan_deadline: float = 60.0
    keep_mounted: bool = True
    policy: Policy = attrs.field(factory=Policy)

    def layer_path(self, digest: Digest) -> str:
        """Give the path of a layer's files as containerd mounts it."""
        return f"{self.host_path}/{below_root(digest)}"

    @property
    def request(self) -> dict[str, object]:
        """The source as the probe processes know it."""
        named = self.repository if self.kind is SourceKind.CVMFS else None
        return {"root": self.path, "repository": named}


def below_root(digest: Digest) -> str:
    """Give the path of a layer's files below the root of any source (DUCC's layout)."""
    return f".layers/{digest.hex[:2]}/{digest.hex}/layerfs"
