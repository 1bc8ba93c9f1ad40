"""containerd's diff service."""
