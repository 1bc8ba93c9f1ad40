"""Making durable which names a directory has."""

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Return once the names in a directory are on disk as they are now.

    Args:
        path: the directory.

    Raises:
        OSError: the disk reports an error.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
