"""What to say when containerd does not tell which layer it wants."""

NO_DIGEST_HINT = (
    "containerd asks for layers without the label containerd.io/snapshot/cri.layer-digest, so "
    "that every one is downloaded. "
    "CRI of containerd 1.4 to 1.7: set disable_snapshot_annotations = false in "
    '[plugins."io.containerd.grpc.v1.cri".containerd]. '
    "CRI of containerd 2.0 and later: set it in [plugins.'io.containerd.cri.v1.images']. "
    "Pulls through the transfer service, containerd 2.1 and later (the CRI with its defaults, ctr "
    'images pull): set enable_remote_snapshot_annotations = "true" in '
    "[proxy_plugins.cvmfs-snapshotter.exports] and name the snapshotter in an "
    "[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]. "
    "ctr images pull of earlier releases or with --local, nerdctl load and BuildKit never send it."
)
"""Which switch is missing, by client (containerd's ``pkg/snapshotters/annotations.go`` and its
callers)."""

NO_TARGET_HINT = (
    "a client downloads layers and unpacks them without asking whether they are there (no label "
    "containerd.io/snapshot.ref): ctr images pull of containerd 1.x, and of later releases with "
    "--local; nerdctl load; BuildKit. No switch changes that. Pull through the CRI (crictl, the "
    "kubelet), with nerdctl, or with ctr images pull of 2.1 and later, whose transfer service "
    'needs enable_remote_snapshot_annotations = "true" and an unpack_config of the snapshotter.'
)
"""What to do about clients that call ``Image.Unpack`` (containerd's ``pkg/rootfs/apply.go``)."""


class Seldom:
    """Lets something happen at most once in a while."""

    def __init__(self, seconds: float) -> None:
        """Start with the first one free.

        Args:
            seconds: the shortest time between two.
        """
        self._seconds = seconds
        self._next = float("-inf")

    def now(self, moment: float) -> bool:
        """Tell whether it may happen at a moment on the monotonic clock, and take note if so."""
        if moment < self._next:
            return False
        self._next = moment + self._seconds
        return True
