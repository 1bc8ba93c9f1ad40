"""The package containerd.types."""
