"""The state of the snapshotter in Go, which must not be running."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.bolt import BoltError, read_storage
from cvmfs_snapshotter.adapters.directories.old import OldDirectories
from cvmfs_snapshotter.domain.importing import Files, Recorded

from ..doctor.mounts import mounts_of
from ..endpoint import somebody_serves
from ..errors import InUseError, StartError
from ..folders import require_plain
from ..locks import take_existing_lock
from ..trust import distrust

DATABASE = "metadata.db"

_BELOW = "snapshotter"
"""Where the Go snapshotter keeps all its state, below its root directory."""

_HOW = (
    "It must be killed, not stopped: SIGTERM makes it delete the files of all snapshots. "
    "`cvmfs-snapshotter import --help` says how systemd does that"
)


class RunningError(StartError):
    """The Go snapshotter is running."""


@attrs.frozen
class Old:
    """Its state.

    Attributes:
        base: the directory with its database and ``snapshots``, without symbolic links.
    """

    base: str

    @property
    def database(self) -> str:
        """Path of its records."""
        return f"{self.base}/{DATABASE}"

    def records(self) -> Sequence[Recorded]:
        """Read all that is recorded.

        Raises:
            StartError: it cannot be read or understood.
        """
        try:
            return read_storage(Path(self.database))
        except BoltError as error:
            raise StartError(f"{self.database} cannot be read: {error}") from error
        except OSError as error:
            raise StartError(f"{self.database} cannot be read: {error.strerror}") from error

    def mount_points(self) -> list[str]:
        """Give what is mounted below it, the last mounted first."""
        below = f"{self.base}/"
        return [m.at for m in reversed(mounts_of("self")) if m.at.startswith(below)]

    def entries(self, root: str) -> tuple[str, ...]:
        """Give the names of all that is in its ``snapshots``.

        Args:
            root: our state directory.

        Raises:
            ResourceExhaustedError: it cannot be read.
        """
        return OldDirectories(self.base, root).names()

    def files(self, records: Sequence[Recorded], root: str) -> Mapping[int, Files]:
        """Tell for each identifier what is at the place of its files.

        Args:
            records: what is recorded.
            root: our state directory.

        Raises:
            ResourceExhaustedError: the directories cannot be read.
        """
        identifiers = [record.identifier for record in records]
        return OldDirectories(self.base, root).files(identifiers, set(self.mount_points()))


def find_old(directory: str) -> Old:
    """Find the state of the Go snapshotter.

    Args:
        directory: its root directory, or the one with its database.

    Returns:
        The state.

    Raises:
        StartError: there is none, or others could have written it.
    """
    plain = os.path.realpath(require_plain(directory, "the old state directory"))
    for base in (f"{plain}/{_BELOW}", plain):
        if os.path.lexists(f"{base}/{DATABASE}"):
            break
    else:
        raise StartError(
            f"{plain} holds no state of the Go snapshotter: neither {_BELOW}/{DATABASE} nor "
            f"{DATABASE} is there"
        )
    # Its database is ours to believe only if nobody else can write it.
    for path in (base, f"{base}/{DATABASE}"):
        reason = distrust(os.lstat(path))
        if reason:
            raise StartError(f"{path} cannot be relied on: {reason}")
    return Old(base)


@contextmanager
def held_still(old: Old, address: str) -> Iterator[None]:
    """Keep the Go snapshotter from starting for the time of the block.

    It locks its database as long as it runs (bbolt, ``flock``), and so does this.

    Args:
        old: its state.
        address: path of its socket; empty to leave that unasked.

    Raises:
        RunningError: it is running.
        StartError: its database cannot be opened.
    """
    try:
        lock = take_existing_lock(old.database, "the database of the Go snapshotter")
    except InUseError:
        raise RunningError(
            f"{old.database} is in use: the Go snapshotter is running.\n{_HOW}"
        ) from None
    if lock is None:
        raise StartError(f"{old.database} is gone: without it nothing can be moved; bring it back")
    try:
        if address and somebody_serves(address):
            raise RunningError(
                f"somebody answers on {address}: end it first. A daemon of this program may be "
                f"stopped; this is of the Go snapshotter:\n{_HOW}"
            )
        yield
    finally:
        lock.release()
