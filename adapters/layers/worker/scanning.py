"""All names in a layer; no file is opened and none but directories is looked at."""

import os
import stat
import time
from collections.abc import Callable

from .ingest import Ingest
from .misses import FAILED, MissError, miss_of
from .opening import open_directory

WHITEOUT_PREFIX = ".wh."
"""Begins the name of every whiteout and opaque mark (OCI image specification, "Whiteouts")."""

CATALOG_MARKERS = frozenset((".cvmfscatalog", ".cvmfsautocatalog"))
"""Files that the CVMFS server adds; in the root of a layer one is expected."""

MAX_DEPTH = 2000
"""Directories within one another; containerd unpacks by paths, of which 4096 bytes hold no more
than 2048 names."""

NO_WHITEOUTS = frozenset((".wh.", ".wh..", ".wh..."))
"""They would delete a directory itself or its parent."""

MAX_MARKERS = 100_000
"""Whiteouts and markers of one layer; beyond that its companions would cost more than the
layer."""

MAX_OWNERS = 4
"""How many different owners are worth knowing; the question is whether there is only one."""

MAX_MARKED_DEPTH = 400
"""Directories above a marker or a made-up directory, which a companion would have too."""

PROGRESS_ENTRIES = 5000
PROGRESS_SECONDS = 0.5


class Level:
    """A directory that is being read, somewhere between the layer's root and its leaves."""

    def __init__(self, descriptor: int, inside: str) -> None:
        """Begin with one that is open.

        Args:
            descriptor: of the directory.
            inside: its path below the layer's root, with a slash at its end; empty for the root.
        """
        self.descriptor = descriptor
        self.inside = inside
        self.found = os.fstat(descriptor)
        self.waiting: list[str] = []

    @property
    def path(self) -> str:
        """Its path without the slash."""
        return self.inside.rstrip("/")

    def described(self) -> list[object]:
        """Give path, mode, owner, group and time as the answer has them."""
        found = self.found
        mode = stat.S_IMODE(found.st_mode)
        return [self.path, mode, found.st_uid, found.st_gid, found.st_mtime_ns]


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
        self._markers: list[str] = []
        self._implied: list[str] = []
        self._directories: dict[str, list[object]] = {}
        self._owners: set[tuple[int, int]] = set()
        self._unusable = ""

    def run(self, files: int, path: str) -> dict[str, object]:
        """Walk through everything.

        Args:
            files: descriptor of the layer's root directory.
            path: its path, for messages.

        Returns:
            ``entries``, how many; ``markers``, paths of whiteouts and of catalog markers below the
            root; ``implied``, paths of directories that seem made up; ``directories``, those with
            a marker, those made up and all above them, each with path, mode, owner, group and time
            in nanoseconds; ``owners``, pairs of user and group; ``unusable``, path of a name that
            can be no whiteout; ``stamp``, see ``Ingest.stamp``. Bytes that are no UTF-8 are lone
            surrogates (PEP 383).

        Raises:
            MissError: a directory cannot be read, they are nested too deeply, or there are too
                many markers.
        """
        try:
            ingest = Ingest(files)
            stamp = ingest.stamp(files)
        except OSError as error:
            raise miss_of(error, path) from error
        levels = [Level(files, "")]
        try:
            self._list(levels, path)
            while levels:
                level = levels[-1]
                if not level.waiting:
                    levels.pop()
                    if levels:
                        os.close(level.descriptor)
                    continue
                if len(levels) > MAX_DEPTH:
                    raise MissError(FAILED, f"{path} has more than {MAX_DEPTH} levels")
                below = f"{level.inside}{level.waiting.pop()}/"
                levels.append(Level(self._open(level.descriptor, path, below), below))
                if ingest.made(levels[-1].found):
                    self._implied.append(levels[-1].path)
                    self._want(levels)
                self._list(levels, path)
        finally:
            for level in levels[1:]:
                os.close(level.descriptor)
        return {
            "entries": self._entries,
            "markers": self._markers,
            "implied": self._implied,
            "directories": list(self._directories.values()),
            "owners": sorted(self._owners),
            "unusable": self._unusable,
            "stamp": stamp,
        }

    @staticmethod
    def _open(parent: int, path: str, below: str) -> int:
        try:
            return open_directory(parent, below.rstrip("/").rpartition("/")[2])
        except OSError as error:
            raise miss_of(error, f"{path}/{below}") from error

    def _want(self, levels: list[Level]) -> None:
        if len(levels) > MAX_MARKED_DEPTH:
            raise MissError(FAILED, f"a marker lies deeper than {MAX_MARKED_DEPTH} levels")
        for level in levels:
            self._directories.setdefault(level.path, level.described())

    def _list(self, levels: list[Level], path: str) -> None:
        """Take note of the names in the last of these directories."""
        level = levels[-1]
        if len(self._owners) < MAX_OWNERS:
            self._owners.add((level.found.st_uid, level.found.st_gid))
        before = len(self._markers)
        try:
            with os.scandir(level.descriptor) as entries:
                for entry in entries:
                    # Answered from the directory itself, where that gives types, as CVMFS does.
                    is_directory = entry.is_dir(follow_symlinks=False)
                    self._note(entry, level.inside, is_directory=is_directory)
                    if is_directory:
                        level.waiting.append(entry.name)
        except OSError as error:
            raise miss_of(error, f"{path}/{level.inside}") from error
        if len(self._markers) > before:
            self._want(levels)
        if len(self._markers) > MAX_MARKERS:
            raise MissError(FAILED, f"{path} has more than {MAX_MARKERS} whiteouts and markers")
        if time.monotonic() - self._reported_at >= PROGRESS_SECONDS:
            self._say()

    def _note(self, entry: "os.DirEntry[str]", inside: str, *, is_directory: bool) -> None:
        name = entry.name
        self._entries += 1
        if self._entries - self._reported >= PROGRESS_ENTRIES:
            self._say()
        if name.startswith(WHITEOUT_PREFIX):
            if is_directory or name in NO_WHITEOUTS:
                self._unusable = self._unusable or inside + name
            else:
                self._markers.append(inside + name)
        elif name in CATALOG_MARKERS:
            # The server's markers are empty files. Anything else of that name is the image's own;
            # in the root it would be hidden all the same, by what hides the marker of every layer.
            empty = not is_directory and not entry.stat(follow_symlinks=False).st_size
            if empty and inside:
                self._markers.append(inside + name)
            elif not empty and not inside:
                self._unusable = self._unusable or name

    def _say(self) -> None:
        self._reported = self._entries
        self._reported_at = time.monotonic()
        self._report({"entries": self._entries})
