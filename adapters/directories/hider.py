"""The shared companion: a lower directory that hides the catalog markers of every layer.

A character device 0:0 in an upper layer of an overlay stands for nothing being there, whatever
lies below (the kernel's ``Documentation/filesystems/overlayfs.rst``, "whiteouts and opaque
directories"). In an overlay without an upper directory it also gives the root of the tree its
mode and owner.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from cvmfs_snapshotter.domain.layer import CATALOG_MARKERS

from .links import NEW
from .modes import make_directory
from .removal import remove_tree

NAME = "shared"
OLD = ".old-"
"""Begins the name of what was replaced and is being deleted."""

_MODE = 0o755
_MARKERS = sorted(os.fsdecode(marker) for marker in CATALOG_MARKERS)
_WHITEOUT = os.makedev(0, 0)


def make_hider(companions: Path) -> None:
    """Make the shared companion, complete or not at all, unless it is there and sound.

    Args:
        companions: the directory for companions.

    Raises:
        OSError: it cannot be made; EPERM if the process may not make device nodes (CAP_MKNOD).
    """
    path = companions / NAME
    if _sound(path):
        return
    suffix = secrets.token_hex(8)
    new, old = companions / f"{NEW}{suffix}", companions / f"{OLD}{suffix}"
    make_directory(new, _MODE)
    try:
        for marker in _MARKERS:
            os.mknod(new / marker, stat.S_IFCHR | 0o600, _WHITEOUT)
        # A directory cannot be renamed over one that is not empty.
        with contextlib.suppress(FileNotFoundError):
            path.rename(old)
        new.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(companions, new.name)
        raise
    remove_tree(companions, old.name)


def _sound(path: Path) -> bool:
    try:
        about = path.lstat()
        return (
            stat.S_ISDIR(about.st_mode)
            and (stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid) == (_MODE, 0, 0)
            and sorted(inside.name for inside in path.iterdir()) == _MARKERS
            and all(_is_whiteout(path / marker) for marker in _MARKERS)
        )
    except OSError:
        return False


def _is_whiteout(path: Path) -> bool:
    about = path.lstat()
    return stat.S_ISCHR(about.st_mode) and about.st_rdev == _WHITEOUT
