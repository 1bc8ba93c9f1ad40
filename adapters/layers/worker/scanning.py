"""All names in a layer, counted; no file is opened and none but directories is looked at."""

import os
import time
from collections.abc import Callable

from .misses import FAILED, MissError, miss_of, shown
from .opening import open_directory

WHITEOUT_PREFIX = ".wh."
"""Begins the name of every whiteout and opaque mark (OCI image specification, "Whiteouts")."""

CATALOG_MARKERS = frozenset((".cvmfscatalog", ".cvmfsautocatalog"))
"""Files that the CVMFS server adds; in the root of a layer one is expected."""

MAX_DEPTH = 2000
"""Directories within one another; containerd unpacks by paths, of which 4096 bytes hold no more
than 2048 names."""

PROGRESS_ENTRIES = 5000
PROGRESS_SECONDS = 0.5


class Scan:
    """A walk through a layer, and what it has found so far."""

    def __init__(self, report: Callable[[dict[str, object]], None]) -> None:
        """Begin with nothing.

        Args:
            report: called with signs of progress.
        """
        self._report = report
        self._reported_at = time.monotonic()
        self._reported = 0
        self._entries = 0
        self._whiteouts = 0
        self._catalogs = 0
        self._example = ""

    def run(self, files: int, path: str) -> dict[str, object]:
        """Walk through everything.

        Args:
            files: descriptor of the layer's root directory.
            path: its path, for messages.

        Returns:
            ``entries``, ``whiteouts``, ``catalogs_below_root`` and ``example``, the path of the
            first whiteout or marker below the layer's root.

        Raises:
            MissError: a directory cannot be read, or they are nested too deeply.
        """
        # Each level: descriptor, path below the layer's root, sub-directories still to be read.
        levels = [(files, "", self._list(files, path, ""))]
        try:
            while levels:
                parent, inside, waiting = levels[-1]
                if not waiting:
                    levels.pop()
                    if levels:
                        os.close(parent)
                    continue
                if len(levels) > MAX_DEPTH:
                    raise MissError(FAILED, f"{path} has more than {MAX_DEPTH} levels")
                below = f"{inside}{waiting.pop()}/"
                child = self._open(parent, path, below)
                levels.append((child, below, []))
                levels[-1] = (child, below, self._list(child, path, below))
        finally:
            for descriptor, _, _ in levels[1:]:
                os.close(descriptor)
        return {
            "entries": self._entries,
            "whiteouts": self._whiteouts,
            "catalogs_below_root": self._catalogs,
            "example": shown(self._example),
        }

    @staticmethod
    def _open(parent: int, path: str, below: str) -> int:
        try:
            return open_directory(parent, below.rstrip("/").rpartition("/")[2])
        except OSError as error:
            raise miss_of(error, f"{path}/{below}") from error

    def _list(self, descriptor: int, path: str, inside: str) -> list[str]:
        """Count what is in a directory; return the names of its sub-directories."""
        directories = []
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    self._count(entry.name, inside)
                    # Answered from the directory itself, where that gives types, as CVMFS does.
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.name)
        except OSError as error:
            raise miss_of(error, f"{path}/{inside}") from error
        self._progress()
        return directories

    def _count(self, name: str, inside: str) -> None:
        self._entries += 1
        if self._entries - self._reported >= PROGRESS_ENTRIES:
            self._say()
        if name.startswith(WHITEOUT_PREFIX):
            self._whiteouts += 1
        elif inside and name in CATALOG_MARKERS:
            self._catalogs += 1
        else:
            return
        self._example = self._example or inside + name

    def _progress(self) -> None:
        if time.monotonic() - self._reported_at >= PROGRESS_SECONDS:
            self._say()

    def _say(self) -> None:
        self._reported = self._entries
        self._reported_at = time.monotonic()
        self._report({"entries": self._entries})
