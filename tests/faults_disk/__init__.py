"""What the daemon does on disks that are full, read-only, or taken away."""
