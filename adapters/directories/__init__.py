"""The directories of snapshots and the links to lower directories, on disk."""

from .disk import DiskDirectories
from .paths import require_plain_path

__all__ = ["DiskDirectories", "require_plain_path"]
