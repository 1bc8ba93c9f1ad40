"""What is named in containerd's configuration."""

SNAPSHOTTER = "cvmfs-snapshotter"
"""Name of our proxy plugin. nerdctl knows a remote snapshotter of CVMFS by this name only."""

OVERLAYFS = "overlayfs"
"""containerd's own snapshotter, which is its default on Linux."""

WALKING = "walking"
"""The differ that unpacks layers of tar archives into a mounted snapshot."""

CRI = "io.containerd.grpc.v1.cri"
"""Plugin of the CRI. All its settings are here in 1.x."""

CRI_SHORT = "cri"
"""The same in files of version 1, which name plugins by their last part."""

CRI_IMAGES = "io.containerd.cri.v1.images"
"""Plugin of the CRI's images, from 2.0 on."""

CRI_RUNTIME = "io.containerd.cri.v1.runtime"
"""Plugin of the CRI's containers, from 2.0 on."""

TRANSFER = "io.containerd.transfer.v1.local"
"""Plugin of the transfer service."""

SNAPSHOT_PLUGIN = "io.containerd.snapshotter.v1"
"""Type of snapshotters. Those of proxies have it too."""

ANNOTATIONS_EXPORT = "enable_remote_snapshot_annotations"
"""Export of a proxy plugin at which the transfer service says which layer it wants."""

BUILT_IN = frozenset(
    {"aufs", "blockfile", "btrfs", "devmapper", "erofs", "native", OVERLAYFS, "zfs"}
)
"""Snapshotters that are part of containerd, in one release or another."""
