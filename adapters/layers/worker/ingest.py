"""Which directories of a layer were made up when it was published.

A directory without an entry in the layer's tar is published with mode 0755, the publisher's owner
and the time of the ingest (the CVMFS server's ``sync_item_dummy.h``).
"""

import os
import stat

MADE_MODE = 0o755

SECONDS_BEFORE = 600
SECONDS_AFTER = 60
"""An ingest takes this long at most before the catalog marker is made, and after it."""


class Ingest:
    """What is known of the ingest of one layer.

    The catalog marker in the layer's root is made by the ingest itself: it has its owner and time.
    """

    def __init__(self, files: int) -> None:
        """Look at the marker.

        Args:
            files: descriptor of the layer's root directory.

        Raises:
            OSError: it cannot be looked at. A layer without one is nothing special: nothing in it
                is taken for made up.
        """
        self._marker: os.stat_result | None = None
        try:
            self._marker = os.stat(".cvmfscatalog", dir_fd=files, follow_symlinks=False)
        except FileNotFoundError:
            return

    def stamp(self, files: int) -> str:
        """Give a text that differs once the layer was published anew or shows other owners.

        Args:
            files: descriptor of the layer's root directory.

        Raises:
            OSError: it cannot be looked at.
        """
        found = [os.fstat(files), *([self._marker] if self._marker else [])]
        return " ".join(f"{f.st_uid}:{f.st_gid}:{f.st_mtime_ns}" for f in found)

    def made(self, found: os.stat_result) -> bool:
        """Tell whether a directory seems made up."""
        marker = self._marker
        return (
            marker is not None
            and stat.S_IMODE(found.st_mode) == MADE_MODE
            and (found.st_uid, found.st_gid) == (marker.st_uid, marker.st_gid)
            and marker.st_mtime - SECONDS_BEFORE <= found.st_mtime
            and found.st_mtime <= marker.st_mtime + SECONDS_AFTER
        )
