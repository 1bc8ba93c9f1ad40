"""Directories of snapshots, remembered."""

import threading
from collections.abc import Collection, Iterable, Sequence

import attrs

from cvmfs_snapshotter.domain.errors import FailedPreconditionError, ResourceExhaustedError
from cvmfs_snapshotter.domain.snapshot import Usage


@attrs.frozen
class Directory:
    """What would be on disk for a local snapshot.

    Attributes:
        owner: user and group ID of the root of its files.
        writable: whether it has a work directory.
    """

    owner: tuple[int, int]
    writable: bool


class MemoryDirectories:
    """Implements ``Directories``.

    Attributes:
        directories: by identifier.
        links: where the link of an identifier leads to.
        usages: what ``usage`` gives; one inode without a byte for what is not in it.
        failure: while it is not empty, whatever would write fails with it.
        busy: identifiers whose directories cannot be removed.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.directories: dict[int, Directory] = {}
        self.links: dict[int, str] = {}
        self.usages: dict[int, Usage] = {}
        self.failure = ""
        self.busy: set[int] = set()
        self._lock = threading.Lock()

    def create_active(self, identifier: int, owner: tuple[int, int] | int) -> None:
        """See ``Directories.create_active``."""
        with self._lock:
            owner = self._owner_of(owner) if isinstance(owner, int) else owner
            self._create(identifier, Directory(owner, writable=True))

    def create_empty(self, identifier: int) -> None:
        """See ``Directories.create_empty``."""
        with self._lock:
            self._create(identifier, Directory((0, 0), writable=False))

    def _create(self, identifier: int, directory: Directory) -> None:
        self._require_medium()
        if identifier in self.directories:
            raise ResourceExhaustedError(f"directory {identifier} exists already")
        self.directories[identifier] = directory

    def link_layer(self, identifier: int, path: str) -> None:
        """See ``Directories.link_layer``."""
        with self._lock:
            self._require_medium()
            self.links[identifier] = path

    def link_files(self, identifier: int) -> None:
        """See ``Directories.link_files``."""
        self.link_layer(identifier, f"../snapshots/{identifier}/fs")

    def is_astray(self, identifier: int, path: str | None = None) -> bool:
        """See ``Directories.is_astray``."""
        wanted = path or f"../snapshots/{identifier}/fs"
        with self._lock:
            return self.links.get(identifier, wanted) != wanted

    def without_files(self, identifiers: Iterable[int]) -> Sequence[int]:
        """See ``Directories.without_files``."""
        with self._lock:
            return [i for i in identifiers if i not in self.directories]

    def mend_active(self, identifier: int, owner: tuple[int, int] | int) -> bool:
        """See ``Directories.mend_active``."""
        with self._lock:
            owner = self._owner_of(owner) if isinstance(owner, int) else owner
            return self._mend(identifier, Directory(owner, writable=True))

    def mend_empty(self, identifier: int) -> bool:
        """See ``Directories.mend_empty``."""
        with self._lock:
            return self._mend(identifier, Directory((0, 0), writable=False))

    def _mend(self, identifier: int, directory: Directory) -> bool:
        missing = identifier not in self.directories
        if missing:
            self._create(identifier, directory)
        return missing

    def _owner_of(self, identifier: int) -> tuple[int, int]:
        if identifier not in self.directories:
            raise FailedPreconditionError(f"the files of parent snapshot {identifier} are gone")
        return self.directories[identifier].owner

    def settle(self) -> None:
        """See ``Directories.settle``."""
        with self._lock:
            self._require_medium()

    def is_empty(self, identifier: int) -> bool:
        """See ``Directories.is_empty``."""
        return self.usage(identifier).inodes <= 1

    def remove(self, identifier: int) -> None:
        """See ``Directories.remove``."""
        with self._lock:
            self._require_medium()
            if identifier in self.busy:
                raise ResourceExhaustedError(f"directory {identifier} is busy")
            self.directories.pop(identifier, None)
            self.links.pop(identifier, None)

    def usage(self, identifier: int) -> Usage:
        """See ``Directories.usage``."""
        with self._lock:
            if identifier not in self.directories:
                return Usage(0, 0)
            return self.usages.get(identifier, Usage(0, 1))

    def present(self) -> Collection[int]:
        """See ``Directories.present``."""
        with self._lock:
            return {*self.directories, *self.links}

    def _require_medium(self) -> None:
        if self.failure:
            raise ResourceExhaustedError(self.failure)
