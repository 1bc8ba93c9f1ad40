"""The package containerd.services.snapshots.v1."""
