"""Keeping a source's root open, so that an automounter does not let it expire."""

import os

from .misses import miss_of

_REVISION = "user.revision"
"""Magic attribute with the number of the catalog that the client has loaded (CVMFS documentation,
"Magic extended attributes")."""

_HOLD = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Held:
    """The one root that this process holds."""

    def __init__(self) -> None:
        """Start with none."""
        self._descriptor = -1

    def take(self, root: int, path: str) -> None:
        """Hold a root from now on, instead of the one before.

        A descriptor of ``O_PATH`` keeps the mount in use and asks nothing of the file system.

        Args:
            root: descriptor of the root. It was opened for reading before: ``O_PATH`` alone would
                not make an automounter mount anything (open(2)).
            path: its path, for messages.

        Raises:
            MissError: it cannot be held; the one before is let go.
        """
        self.let_go()
        try:
            self._descriptor = os.open(".", _HOLD, dir_fd=root)
        except OSError as error:
            raise miss_of(error, path) from error

    def let_go(self) -> None:
        """Hold nothing any more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def revision(root: int) -> int | None:
    """Give the revision of a repository.

    Args:
        root: descriptor of its root.

    Returns:
        The number; None if it cannot be read, which is no trouble: attributes may be protected.
    """
    try:
        return int(os.getxattr(root, _REVISION))
    except (OSError, ValueError):
        return None
