"""The directories under the root.

======================================  =====  ====================================
``snapshots/<id>/fs``                   0755   the files of a local snapshot
``snapshots/<id>/work``                 0711   beside those of an active one, for overlayfs
``companions/shared``                   0755   hides catalog markers
``l/<id>``                                     link: ``../snapshots/<id>/fs``, or a remote layer;
                                               made where a mount needs a short name
``l/s``                                        link: ``../companions/shared``
======================================  =====  ====================================

Everything else is 0700: whoever mounts an overlay looks its lower directories up, not the
container that uses it. The modes are those of containerd's own overlayfs snapshotter
(``plugins/snapshots/overlay/overlay.go``, ``prepareDirectory``).
"""

import os
import re
import stat
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from cvmfs_snapshotter.domain.errors import FailedPreconditionError
from cvmfs_snapshotter.domain.snapshot import Usage

from .hider import NAME as HIDER
from .hider import OLD, make_hider
from .links import NEW, replace_link
from .measuring import measure
from .medium import medium
from .mending import appear_directory, is_directory
from .modes import make_directory, require_real
from .removal import remove_tree
from .syncing import sync_directory

_PRIVATE = 0o700
_FILES = 0o755
_WORK = 0o711
_IDENTIFIER = re.compile("[1-9][0-9]*")


class DiskDirectories:
    """Implements ``Directories``; any number of threads may call it at once."""

    def __init__(self, root: str) -> None:
        """Take the root directory; ``prepare`` comes before all else.

        Args:
            root: its path, see ``require_plain_path``.
        """
        self._root = Path(root)
        self._snapshots = self._root / "snapshots"
        self._companions = self._root / "companions"
        self._links = self._root / "l"
        self._mending = threading.Lock()

    def prepare(self) -> None:
        """Make what is missing below the root, and delete what a crash left half made.

        Raises:
            ResourceExhaustedError: that failed, or something else than a directory is in the place
                of one.
        """
        for directory in (self._root, self._snapshots, self._companions, self._links):
            with medium(directory, "made"):
                directory.mkdir(_PRIVATE, parents=True, exist_ok=True)
                if directory != self._root:
                    require_real(directory)
                directory.chmod(_PRIVATE)
        for directory in (self._snapshots, self._companions, self._links):
            with medium(directory, "cleared of what a crash left"):
                # Names alone: there are as many as snapshots, and every start reads them.
                for name in os.listdir(directory):  # noqa: PTH208 - see above
                    if name.startswith((NEW, OLD)):
                        remove_tree(directory, name)
        with medium(self._root, "made durable"):
            sync_directory(self._root)
        with medium(self._companions / HIDER, "made"):
            make_hider(self._companions)
        with medium(self._links / "s", "made"):
            replace_link(self._links / "s", f"../companions/{HIDER}")

    def create_active(self, identifier: int, owner: tuple[int, int] | int) -> None:
        """See ``Directories.create_active``."""
        owner = self._owner_of(owner) if isinstance(owner, int) else owner
        path = self._directory(identifier)
        with medium(path, "made"), ExitStack() as undo:
            require_real(self._snapshots)
            self._create(path, owner, undo)
            make_directory(path / "work", _WORK)
            undo.pop_all()

    def create_empty(self, identifier: int) -> None:
        """See ``Directories.create_empty``."""
        path = self._directory(identifier)
        with medium(path, "made"), ExitStack() as undo:
            require_real(self._snapshots)
            self._create(path, (0, 0), undo)
            undo.pop_all()

    @staticmethod
    def _create(path: Path, owner: tuple[int, int], undo: ExitStack) -> None:
        make_directory(path, _PRIVATE)
        undo.callback(path.rmdir)
        make_directory(path / "fs", _FILES, owner)
        undo.callback((path / "fs").rmdir)

    def _owner_of(self, identifier: int) -> tuple[int, int]:
        path = self._directory(identifier) / "fs"
        with medium(path, "read"):
            require_real(self._snapshots)
            try:
                about = path.lstat()
            except FileNotFoundError as error:
                raise FailedPreconditionError(
                    f"the files of parent snapshot {identifier} are gone: {path} does not exist; "
                    "delete the image and pull it again"
                ) from error
        return about.st_uid, about.st_gid

    def link_layer(self, identifier: int, path: str) -> None:
        """See ``Directories.link_layer``."""
        # Asked for every layer of every container that needs links: a path as a text, and one
        # system call where the link is there.
        with suppress(OSError):
            if os.readlink(f"{self._root}/l/{identifier}") == path:  # noqa: PTH115 - see above
                return
        with medium(self._link(identifier), "made"):
            require_real(self._links)
            replace_link(self._link(identifier), path)

    def link_files(self, identifier: int) -> None:
        """See ``Directories.link_files``."""
        self.link_layer(identifier, _files_from_link(identifier))

    def is_astray(self, identifier: int, path: str | None = None) -> bool:
        """See ``Directories.is_astray``."""
        link, wanted = self._link(identifier), path or _files_from_link(identifier)
        with medium(link, "read"):
            if link.is_symlink():
                return str(link.readlink()) != wanted
            # Something else is in the place of a link.
            return os.path.lexists(link)

    def without_files(self, identifiers: Iterable[int]) -> Sequence[int]:
        """See ``Directories.without_files``."""
        with medium(self._snapshots, "read"):
            require_real(self._snapshots)
        return [i for i in identifiers if not self._is_there(i, "fs")]

    def _is_there(self, identifier: int, name: str) -> bool:
        # Asked for every layer of every container: a path as a text, and one system call.
        path = f"{self._root}/snapshots/{identifier}/{name}"
        with suppress(OSError):
            # A link in the place of it is not followed.
            return stat.S_ISDIR(os.lstat(path).st_mode)
        with medium(Path(path), "read"):
            return is_directory(Path(path))

    def mend_active(self, identifier: int, owner: tuple[int, int] | int) -> bool:
        """See ``Directories.mend_active``."""
        if not self.without_files((identifier,)) and self._is_there(identifier, "work"):
            return False
        owner = self._owner_of(owner) if isinstance(owner, int) else owner
        return self._mend(identifier, {"fs": (_FILES, owner), "work": (_WORK, (0, 0))})

    def mend_empty(self, identifier: int) -> bool:
        """See ``Directories.mend_empty``."""
        return self._mend(identifier, {"fs": (_FILES, (0, 0))})

    def _mend(self, identifier: int, wanted: Mapping[str, tuple[int, tuple[int, int]]]) -> bool:
        path = self._directory(identifier)
        with medium(path, "made again"):
            require_real(self._snapshots)
            if all(is_directory(path / name) for name in wanted):
                return False
            # One at a time: a directory that somebody uses already must not be replaced.
            with self._mending:
                appear_directory(path, _PRIVATE, (0, 0))
                made = [
                    appear_directory(path / name, mode, owner)
                    for name, (mode, owner) in wanted.items()
                ]
            return any(made)

    def settle(self) -> None:
        """See ``Directories.settle``."""
        for directory in (self._snapshots, self._links):
            with medium(directory, "made durable"):
                sync_directory(directory)

    def is_empty(self, identifier: int) -> bool:
        """See ``Directories.is_empty``."""
        path = self._directory(identifier) / "fs"
        with medium(path, "read"):
            require_real(self._snapshots)
            try:
                with os.scandir(path) as entries:
                    return next(entries, None) is None
            except FileNotFoundError:
                return True

    def remove(self, identifier: int) -> None:
        """See ``Directories.remove``."""
        with medium(self._directory(identifier), "deleted"):
            remove_tree(self._snapshots, str(identifier))
        with medium(self._link(identifier), "deleted"):
            require_real(self._links)
            self._link(identifier).unlink(missing_ok=True)

    def usage(self, identifier: int) -> Usage:
        """See ``Directories.usage``."""
        path = self._directory(identifier)
        with medium(path, "measured"):
            require_real(self._snapshots)
            return measure(path, "fs")

    def present(self) -> Collection[int]:
        """See ``Directories.present``."""
        found: set[int] = set()
        for directory in (self._snapshots, self._links):
            with medium(directory, "read"):
                require_real(directory)
                names = os.listdir(directory)  # noqa: PTH208 - as in `prepare`
            found.update(map(int, filter(_IDENTIFIER.fullmatch, names)))
        return found

    def _directory(self, identifier: int) -> Path:
        return self._snapshots / str(identifier)

    def _link(self, identifier: int) -> Path:
        return self._links / str(identifier)


def _files_from_link(identifier: int) -> str:
    return f"../snapshots/{identifier}/fs"
