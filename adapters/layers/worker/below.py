"""What directories look like in a chain of layers."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from .ingest import Ingest
from .opening import open_directory
from .scanning import WHITEOUT_PREFIX

OPAQUE_MARK = ".wh..wh..opq"
OPAQUE_ATTRIBUTES = ("trusted.overlay.opaque", "user.overlay.opaque")


class Published:
    """A layer as it is published: deletions are files that are named for it.

    Attributes:
        files: descriptor of its root directory.
        absent: paths that were found missing, and whether the layers below count there.
    """

    def __init__(self, files: int) -> None:
        """Take a layer.

        Args:
            files: descriptor of its root directory.

        Raises:
            OSError: it cannot be read.
        """
        self.files = files
        self.absent: dict[str, bool] = {}
        self._ingest = Ingest(files)

    def deletes(self, parent: int, name: str, *, in_root: bool) -> bool:
        """Tell whether it hides what the layers below have under a name in a directory.

        An opaque mark in the root has no effect, as with containerd's own unpacking.
        """
        if _exists(parent, WHITEOUT_PREFIX + name):
            return True
        return not in_root and _exists(parent, OPAQUE_MARK)

    def decides(self, found: os.stat_result) -> bool:
        """Tell whether the metadata of a directory is the image's own."""
        return not self._ingest.made(found)


class Unpacked:
    """A layer as containerd unpacks it: deletions are those of overlayfs.

    Attributes:
        files: descriptor of its root directory.
        absent: paths that were found missing, and whether the layers below count there.
    """

    def __init__(self, files: int) -> None:
        """Take a layer.

        Args:
            files: descriptor of its root directory.
        """
        self.files = files
        self.absent: dict[str, bool] = {}

    def deletes(self, parent: int, name: str, *, in_root: bool) -> bool:
        """Tell whether it hides what the layers below have in a directory.

        A deleted name is a device, no directory; that is seen where it is looked at.
        """
        del name, in_root
        for attribute in OPAQUE_ATTRIBUTES:
            with contextlib.suppress(OSError):
                if os.getxattr(parent, attribute) == b"y":
                    return True
        return False

    def decides(self, found: os.stat_result) -> bool:
        """Tell whether the metadata of a directory is the image's own: here it always is."""
        return stat.S_ISDIR(found.st_mode)


Lower = Published | Unpacked


def directories_below(
    paths: Iterable[str], lowers: list[Lower], moved: Callable[[], None] = lambda: None
) -> Iterator[tuple[str, os.stat_result]]:
    """Find the directory that a chain shows under each path.

    Args:
        paths: relative to the root.
        lowers: the chain from the topmost to the bottom.
        moved: called after each look at a lower, as a sign of progress.

    Yields:
        Path and metadata, for the paths under which there is a directory with metadata of its own.

    Raises:
        OSError: a lower could not be read.
    """
    for path in paths:
        for lower in lowers:
            found, goes_on = _in_one(path.split("/"), lower)
            moved()
            if found is not None and lower.decides(found):
                yield path, found
                break
            if not goes_on:
                break


def _in_one(components: list[str], lower: Lower) -> tuple[os.stat_result | None, bool]:
    """Look for one path in one lower: its metadata there, and whether those below count too."""
    goes_on = True
    # Most layers lack most directories: what is inside a missing one need not be looked for again.
    prefixes = ["/".join(components[:length]) for length in range(1, len(components) + 1)]
    for prefix in prefixes:
        if prefix in lower.absent:
            return None, lower.absent[prefix]
    opened = [lower.files]
    try:
        for depth, name in enumerate(components):
            if lower.deletes(opened[-1], name, in_root=depth == 0):
                goes_on = False
            try:
                found = os.stat(name, dir_fd=opened[-1], follow_symlinks=False)
            except FileNotFoundError:
                lower.absent[prefixes[depth]] = goes_on
                return None, goes_on
            if not stat.S_ISDIR(found.st_mode):
                return None, False
            opened.append(open_directory(opened[-1], name))
        return os.fstat(opened[-1]), goes_on
    finally:
        for descriptor in opened[1:]:
            os.close(descriptor)


def _exists(parent: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise
    return True
