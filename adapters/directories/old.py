"""The directories of a snapshotter in Go, and how they change hands.

They lie at ``<base>/snapshots/<id>/{fs,work}``, as here. A directory is renamed, so that mounts of
running containers, which know inodes, notice nothing; a link is left at its old place, so that the
old snapshotter would still find it, and would delete no more than the link.
"""

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from cvmfs_snapshotter.domain.importing import Files

from .medium import medium
from .modes import require_real
from .removal import remove_tree
from .syncing import sync_directory

_PRIVATE = 0o700
"""As containerd's own overlayfs snapshotter makes ``snapshots``
(``plugins/snapshots/overlay/overlay.go``, ``NewSnapshotter``)."""


class OldDirectories:
    """The directories below one base, seen beside those of a root of ours."""

    def __init__(self, base: str, root: str) -> None:
        """Take both.

        Args:
            base: where the old snapshotter has its database and ``snapshots``.
            root: our state directory, on the same file system.
        """
        self._old = Path(base) / "snapshots"
        self._ours = Path(root) / "snapshots"

    def files(
        self, identifiers: Iterable[int], mount_points: Collection[str]
    ) -> Mapping[int, Files]:
        """Tell what is at the place of the files of each snapshot.

        What is mounted there is not looked at: it may hang.

        Args:
            identifiers: of the snapshots.
            mount_points: where anything is mounted.

        Raises:
            ResourceExhaustedError: the directories cannot be read.
        """
        with medium(self._old, "read"):
            require_real(self._old)
            return {i: self._files(self._old / str(i) / "fs", mount_points) for i in identifiers}

    @staticmethod
    def _files(path: Path, mount_points: Collection[str]) -> Files:
        if str(path) in mount_points:
            return Files.MOUNTED
        try:
            if not stat.S_ISDIR(path.lstat().st_mode) or path.parent.is_symlink():
                return Files.GONE
            with os.scandir(path) as entries:
                return Files.EMPTY if next(entries, None) is None else Files.THERE
        except FileNotFoundError:
            return Files.GONE

    def hand_over(self, identifiers: Iterable[int]) -> None:
        """Move directories into our root, and leave links. What was done before is not done again.

        Args:
            identifiers: of the snapshots.

        Raises:
            ResourceExhaustedError: one cannot be moved; whoever calls again goes on from there.
        """
        self._appear()
        for identifier in identifiers:
            old, ours = self._old / str(identifier), self._ours / str(identifier)
            with medium(old, "moved"):
                if old.is_symlink():
                    continue
                if not ours.exists():
                    old.rename(ours)
                old.symlink_to(ours)
        self._settle()

    def take_back(self, identifiers: Iterable[int]) -> None:
        """Move directories back to where their links are; what is gone stays gone.

        Args:
            identifiers: of the snapshots.

        Raises:
            ResourceExhaustedError: one cannot be moved; whoever calls again goes on from there.
        """
        self._appear()
        for identifier in identifiers:
            old, ours = self._old / str(identifier), self._ours / str(identifier)
            with medium(old, "moved back"):
                if old.is_symlink():
                    old.unlink()
                if ours.exists():
                    ours.rename(old)
        self._settle()

    def names(self) -> tuple[str, ...]:
        """Give the names of all that is at the old place, links among them.

        Raises:
            ResourceExhaustedError: it cannot be read.
        """
        with medium(self._old, "read"):
            require_real(self._old)
            return tuple(sorted(os.listdir(self._old)))  # noqa: PTH208 - names alone

    def still_there(self, identifiers: Iterable[int]) -> Collection[int]:
        """Tell which directories are at their old places, and no links."""
        places = {i: self._old / str(i) for i in identifiers}
        return [i for i, place in places.items() if place.exists() and not place.is_symlink()]

    def remove_rest(self) -> None:
        """Delete links and directories that are left at the old place.

        Raises:
            ResourceExhaustedError: something is mounted below, or cannot be deleted.
        """
        with medium(self._old, "deleted"):
            require_real(self._old)
            for name in os.listdir(self._old):  # noqa: PTH208 - names alone
                remove_tree(self._old, name)
            self._old.rmdir()

    def _appear(self) -> None:
        # Somebody may have deleted one by hand; directories are moved all the same.
        for directory in (self._old, self._ours):
            with medium(directory, "made"):
                directory.mkdir(_PRIVATE, exist_ok=True)
                require_real(directory)

    def _settle(self) -> None:
        for directory in (self._old, self._ours):
            with medium(directory, "made durable"):
                sync_directory(directory)
