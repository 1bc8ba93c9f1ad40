"""Small file systems that can be filled."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.mounts import unmount_below

_CHUNK = 64 * 1024


@contextmanager
def small_disk(directory: Path, size: str = "16m") -> Iterator[None]:
    """Put a directory with all that is in it on a file system of its own for the block.

    Args:
        directory: the directory, in which nothing is mounted.
        size: of the file system, as ``mount`` takes it.
    """
    saved = directory.with_name(f"{directory.name}.saved")
    subprocess.run(["cp", "-a", directory, saved], check=True)
    options = f"size={size},mode={directory.stat().st_mode & 0o777:o}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=True)
    try:
        subprocess.run(["cp", "-a", f"{saved}/.", directory], check=True)
        yield
    finally:
        unmount_below(directory)


def fill(directory: Path) -> Path:
    """Take all room of the file system of a directory, and give the file that has it."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        size = _CHUNK
        while size:
            try:
                file.write(b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
    return filler
