"""Why a layer cannot be used, in the words of ``domain.layer.Reason``."""

import errno
import os

ABSENT = "absent"
NOT_MOUNTED = "not-mounted"
WRONG_REPOSITORY = "wrong-repository"
UNPROTECTED = "unprotected"
BAD_METADATA = "bad-metadata"
FAILED = "failed"

_CLASSES = {
    errno.ENOENT: ABSENT,
    errno.ENOTDIR: ABSENT,
    errno.EIO: "io-error",
    errno.ENOTCONN: "disconnected",
    # What an aborted FUSE connection gives to those who have a file open.
    errno.ECONNABORTED: "disconnected",
    errno.ESTALE: "stale",
    errno.ELOOP: "symlink-loop",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
}

_DETAIL_CHARACTERS = 1000


class MissError(Exception):
    """The layer, or its whole source, cannot be used.

    Attributes:
        reason: value of a ``Reason``.
        detail: the cause in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Say why.

        Args:
            reason: value of a ``Reason``.
            detail: the cause in words; shortened if it is very long.
        """
        super().__init__(detail)
        self.reason = reason
        self.detail = shown(detail)


def shown(text: str) -> str:
    """Make a text fit for a message: bounded, and bytes that are no UTF-8 spelled as escapes."""
    plain = os.fsencode(text).decode("utf-8", "backslashreplace")
    if len(plain) <= _DETAIL_CHARACTERS:
        return plain
    return plain[:_DETAIL_CHARACTERS] + "..."


def miss_of(error: OSError, path: str) -> MissError:
    """Tell what an error of the operating system means for a layer.

    Args:
        error: the error.
        path: what could not be read.

    Returns:
        The miss. ENOENT and ENOTDIR say that the layer is absent, which is right only below the
        root of a source.
    """
    number = error.errno or 0
    return MissError(_CLASSES.get(number, FAILED), f"{path}: {os.strerror(number)}")
