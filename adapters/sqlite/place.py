"""Whether the database is still where it was opened."""

import os
from pathlib import Path

from cvmfs_snapshotter.domain.errors import UnavailableError


class Place:
    """A file that was opened, and its path.

    SQLite goes on with a file that was deleted or moved away, while directories are found by their
    paths: records and directories would be those of two different states.
    """

    def __init__(self, path: Path) -> None:
        """Remember the file.

        Args:
            path: of the file.

        Raises:
            OSError: it is not there.
        """
        self._path = str(path)
        self._identity = self._now()

    def require(self) -> None:
        """Make sure that the file is where it was.

        Raises:
            UnavailableError: it is not; says what to do.
        """
        try:
            if self._now() == self._identity:
                return
            what = "was replaced"
        except OSError as error:
            what = f"is gone ({error.strerror})"
        raise UnavailableError(
            f"the database {self._path} {what} while the daemon was running; nothing was changed. "
            "Move the state directory back as it was, or stop the daemon and start it on what is "
            "there now"
        )

    def _now(self) -> tuple[int, int]:
        about = os.stat(self._path)  # noqa: PTH116 - once for every operation
        return about.st_dev, about.st_ino
