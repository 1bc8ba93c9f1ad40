"""Reading the databases of containerd and of snapshotters in Go, which bbolt writes."""

from .containerd import ContainerdError, read_records
from .reader import BoltError, Bucket, open_bolt

__all__ = [
    "BoltError",
    "Bucket",
    "ContainerdError",
    "open_bolt",
    "read_records",
]
