"""Directories of a source, opened one by one and never through a symbolic link.

No name is opened but single ones in a directory that is open already, so that nothing outside the
source is ever reached (what openat2(2) calls ``RESOLVE_BENEATH`` and ``RESOLVE_NO_SYMLINKS``).

The layout is DUCC's (``ducc/cvmfs/cvmfs.go`` in the CVMFS sources): a layer lies in
``.layers/<first two digits>/<digest>/layerfs``, its description in ``.metadata`` beside that.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from .misses import ABSENT, FAILED, NOT_MOUNTED, UNPROTECTED, MissError, miss_of

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_HEX = frozenset("0123456789abcdef")
_SHA256_LENGTH = 64

_NO_LAYERS = "there are no layers here"
_MISSING = (
    "it is not published",
    "it is not published",
    "it is published without files: they are still to come, or their ingestion has failed",
)
"""What the absence of each directory on the way from there to a layer's files means."""


@contextmanager
def source_root(path: str) -> Iterator[int]:
    """Open the root directory of a source, which may itself be a symbolic link.

    Args:
        path: its path.

    Yields:
        A descriptor, closed at the end.

    Raises:
        MissError: it cannot be opened.
    """
    try:
        root = os.open(path, _DIRECTORY)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissError(NOT_MOUNTED, miss_of(error, path).detail) from error
    except OSError as error:
        raise miss_of(error, path) from error
    try:
        yield root
    finally:
        os.close(root)


class LayerDirectory:
    """A layer's directories, open.

    Attributes:
        path: of the files, for messages.
        files: descriptor of ``layerfs``.
        parent: descriptor of the directory around it.
    """

    def __init__(self, path: str, parent: int, files: int) -> None:
        """Take over the two descriptors."""
        self.path = path
        self.parent = parent
        self.files = files

    def list_first(self) -> None:
        """Read directory entries of the files, once.

        The kernel may answer ``stat`` and ``open`` from its caches for a minute after a CVMFS
        client has died; this it asks the client.

        Raises:
            MissError: that failed.
        """
        try:
            with os.scandir(self.files) as entries:
                next(entries, None)
        except OSError as error:
            raise miss_of(error, self.path) from error


def require_protected(descriptor: int, path: str) -> None:
    """Refuse a directory in which everybody can make names.

    What everybody could have put there would be the root of a container. That others than root can
    write is normal: a tree belongs to its publisher.

    Args:
        descriptor: of the directory.
        path: its path, for messages.

    Raises:
        MissError: it cannot be looked at, or everybody can write to it. A sticky bit does not
            help: names cannot be replaced then, but layers that are still to come be made up.
    """
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    except OSError as error:
        raise miss_of(error, path) from error
    if mode & stat.S_IWOTH:
        raise MissError(
            UNPROTECTED,
            f"everybody can write to {path} (mode {mode:04o}), so that nothing in it can be "
            "relied on",
        )


class Layers:
    """The directory in which the layers of a source are, open.

    Attributes:
        path: its path, for messages.
        directory: descriptor of it.
        protected: whether directories are refused in which everybody can make names.
    """

    def __init__(self, path: str, directory: int, *, protected: bool) -> None:
        """Take over the descriptor."""
        self.path = path
        self.directory = directory
        self.protected = protected


@contextmanager
def layers_directory(root: int, root_path: str, *, protected: bool) -> Iterator[Layers]:
    """Open the directory in which the layers of a source are.

    Args:
        root: descriptor of the source's root, found healthy.
        root_path: its path, for messages.
        protected: refuse directories on the way to a layer in which everybody can make names; the
            layer's own root has the mode that its image gives it.

    Yields:
        The directory, closed at the end.

    Raises:
        MissError: it is not there, cannot be opened, or is not protected.
    """
    if protected:
        require_protected(root, root_path)
    path = f"{root_path}/.layers"
    directory = open_below(root, ".layers", path, _NO_LAYERS)
    try:
        if protected:
            require_protected(directory, path)
        yield Layers(path, directory, protected=protected)
    finally:
        os.close(directory)


@contextmanager
def layer_directory(layers: Layers, digits: str) -> Iterator[LayerDirectory]:
    """Open a layer.

    Args:
        layers: where it should be.
        digits: the 64 hexadecimal digits of its digest.

    Yields:
        The layer, closed at the end.

    Raises:
        MissError: it is not there, cannot be opened, or is not protected.
    """
    if len(digits) != _SHA256_LENGTH or not _HEX.issuperset(digits):
        raise MissError(FAILED, "the digest is not one")
    opened = [layers.directory]
    path = layers.path
    try:
        for name, missing in zip((digits[:2], digits, "layerfs"), _MISSING, strict=True):
            if layers.protected and len(opened) > 1:
                require_protected(opened[-1], path)
            path = f"{path}/{name}"
            opened.append(open_below(opened[-1], name, path, missing))
        yield LayerDirectory(path, opened[-2], opened[-1])
    finally:
        for descriptor in opened[1:]:
            os.close(descriptor)


def open_below(parent: int, name: str, path: str, missing: str) -> int:
    """Open a directory of a source whose absence means something.

    Args:
        parent: descriptor of the directory that it is in.
        name: a single name.
        path: its path, for messages.
        missing: what its absence means.

    Returns:
        A descriptor.

    Raises:
        MissError: it is not there, is a symbolic link, or cannot be opened.
    """
    try:
        return open_directory(parent, name)
    except FileNotFoundError as error:
        raise MissError(ABSENT, f"{path} does not exist: {missing}") from error
    except OSError as error:
        if error.errno in {errno.ENOTDIR, errno.ELOOP} and is_link(parent, name):
            detail = f"{path} is a symbolic link, which is not followed"
            raise MissError(ABSENT, detail) from error
        raise miss_of(error, path) from error


def open_directory(parent: int, name: str) -> int:
    """Open a directory inside another.

    Args:
        parent: descriptor of that one.
        name: a single name.

    Returns:
        A descriptor.

    Raises:
        OSError: it cannot be opened; ENOTDIR or ELOOP if it is a symbolic link.
    """
    return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def is_link(parent: int, name: str) -> bool:
    """Tell whether a name inside a directory is a symbolic link; False if that cannot be told."""
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False
