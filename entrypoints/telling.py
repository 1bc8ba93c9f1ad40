"""What commands on the records have in common: whose they are, and how failures are told."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cvmfs_snapshotter.adapters.sqlite import DatabaseError
from cvmfs_snapshotter.domain.errors import SnapshotterError

from .errors import StartError


def require_root_user() -> None:
    """Refuse to look at records as anybody but root.

    Raises:
        StartError: somebody else asks.
    """
    if os.geteuid() != 0:
        raise StartError("the records are root's: run this as root")


@contextmanager
def told() -> Iterator[None]:
    """Turn what reading or writing records may meet into an error of the command.

    Raises:
        StartError: says what cannot be read or written.
    """
    try:
        yield
    except (DatabaseError, SnapshotterError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise StartError(f"{where}{error.strerror}") from error
