"""The package cvmfs_snapshotter.admin.v1."""
