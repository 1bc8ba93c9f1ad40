"""The lines that containerd's configuration needs for us: one place for writing and for advice."""

from .documents import cri_section
from .finding import entry_of, table_of
from .names import (
    ANNOTATIONS_EXPORT,
    CRI_IMAGES,
    OVERLAYFS,
    SNAPSHOTTER,
    TRANSFER,
    WALKING,
)
from .releases import Pull, Release
from .wanted import Wanted

PROXY = ("proxy_plugins", SNAPSHOTTER)
"""The table of our proxy plugin."""

EXPORTS = (*PROXY, "exports")
"""What our proxy plugin says about itself."""

UNPACKING = ("plugins", TRANSFER, "unpack_config")
"""The array with what the transfer service can unpack."""


def images_table(release: Release, version: int) -> tuple[str, ...]:
    """Give the table with the CRI's settings about images.

    Args:
        release: of containerd.
        version: of the file.
    """
    if release.images_plugin:
        return ("plugins", CRI_IMAGES)
    return ("plugins", cri_section(version), "containerd")


def proxy(wanted: Wanted) -> dict[str, str | bool]:
    """Give the settings of our proxy plugin."""
    return {"type": "snapshot", "address": wanted.address}


def exports(wanted: Wanted, pull: Pull) -> dict[str, str | bool]:
    """Give what our proxy plugin says about itself; all values are strings there."""
    found: dict[str, str | bool] = {"root": wanted.root}
    if pull is Pull.TRANSFER:
        found[ANNOTATIONS_EXPORT] = "true"
    return found


def images(release: Release, pull: Pull) -> dict[str, str | bool]:
    """Give the settings of the CRI about images."""
    found: dict[str, str | bool] = {"snapshotter": SNAPSHOTTER}
    if pull is Pull.LOCAL:
        found["disable_snapshot_annotations"] = False
        if release.transfer:
            # Without it 2.1 and later come to the same, but with a warning at each start.
            found["use_local_image_pull"] = True
    return found


def unpacking(snapshotter: str, platform: str) -> dict[str, str | bool]:
    """Give an entry of what the transfer service can unpack."""
    return {"platform": platform, "snapshotter": snapshotter, "differ": WALKING}


def tables(wanted: Wanted, pull: Pull) -> list[tuple[str, dict[str, str | bool]]]:
    """Give all tables, with their headers as they are written.

    Args:
        wanted: what for.
        pull: how the CRI is to pull images.
    """
    release = wanted.release
    found = [
        (table_of(*PROXY), proxy(wanted)),
        (table_of(*EXPORTS), exports(wanted, pull)),
        (table_of(*images_table(release, release.file_version)), images(release, pull)),
    ]
    if pull is Pull.TRANSFER:
        found += [
            (entry_of(*UNPACKING), unpacking(snapshotter, wanted.platform))
            for snapshotter in (SNAPSHOTTER, OVERLAYFS)
        ]
    return found
