"""`python -m cvmfs_snapshotter` is the same as the command `cvmfs-snapshotter`."""

from cvmfs_snapshotter.entrypoints.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
