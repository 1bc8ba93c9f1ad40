"""The snapshots that are recorded: listed, as trees, and all about one."""
