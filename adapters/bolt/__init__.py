"""Reading the databases of containerd and of snapshotters in Go, which bbolt writes."""

from .containerd import ContainerdError, read_records
from .content import Content, open_content
from .reader import BoltError, Bucket, open_bolt
from .storage import read_storage

__all__ = [
    "BoltError",
    "Bucket",
    "ContainerdError",
    "Content",
    "open_bolt",
    "open_content",
    "read_records",
    "read_storage",
]
