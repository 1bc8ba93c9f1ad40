"""Errors of the disk, in the domain's words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cvmfs_snapshotter.domain.errors import ResourceExhaustedError


@contextmanager
def medium(path: Path, fate: str) -> Iterator[None]:
    """Turn errors of the operating system into the port's.

    Args:
        path: what is worked on.
        fate: what was to become of it: "made", "deleted".

    Raises:
        ResourceExhaustedError: the block raised an ``OSError``; the message says what the system
            said, and where, if that was below ``path``.
    """
    try:
        yield
    except OSError as error:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        where = "" if name in {"", str(path)} else f" ({name!r})"
        cause = error.strerror or "unknown error"
        raise ResourceExhaustedError(f"{path} cannot be {fate}: {cause}{where}") from error
