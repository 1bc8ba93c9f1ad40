"""containerd's snapshot service over gRPC: translation only."""
