"""Taking a mount away."""

import ctypes
import os

_NOFOLLOW = 8
"""``UMOUNT_NOFOLLOW`` (umount2(2)): a link in the last place of the path is not followed."""


def unmount(path: str) -> None:
    """Take away the topmost mount at a path; never by force.

    Force (``MNT_FORCE``) would end the connection of a whole CVMFS repository, of which the mount
    shows only a part.

    Args:
        path: the mount point.

    Raises:
        OSError: it cannot be; EBUSY while somebody has a file open through it.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.umount2(os.fsencode(path), _NOFOLLOW) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
