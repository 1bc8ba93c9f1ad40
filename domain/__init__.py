"""The life cycle of snapshots, without any input or output."""
