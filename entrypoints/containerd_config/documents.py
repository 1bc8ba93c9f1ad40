"""The files of a configuration, and what containerd makes of them together.

Files are merged as ``mergeConfig`` of containerd's server configuration does, tried with 1.6.20,
1.7.24 and 2.1.9.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from .names import CRI, CRI_IMAGES, CRI_RUNTIME, CRI_SHORT
from .releases import Release
from .toml import inside, strings, table


@attrs.frozen
class Document:
    """One file.

    Attributes:
        path: where it is; for messages.
        content: what it says, as TOML was parsed.
    """

    path: str
    content: Mapping[str, object]

    @property
    def version(self) -> int:
        """The version that it says; 0 if it says none."""
        found = self.content.get("version")
        return found if isinstance(found, int) and not isinstance(found, bool) else 0


@attrs.frozen
class Effective:
    """What containerd works with.

    Attributes:
        version: version of the file, at least 1.
        proxies: proxy plugins by name.
        plugins: sections of plugins, with the names that the files have.
        disabled: plugins that are not started, with the names that the files have.
        images: settings of the CRI about images.
        runtimes: snapshotter of each runtime that has one of its own.
        lost: the settings about images are there, but containerd does not bring them to the
            place where it reads them.
    """

    version: int
    proxies: Mapping[str, object]
    plugins: Mapping[str, object]
    disabled: tuple[str, ...]
    images: Mapping[str, object]
    runtimes: Mapping[str, str]
    lost: bool


def effective(documents: Sequence[Document], release: Release) -> Effective:
    """Merge files as a release does.

    Args:
        documents: the root file first, then the imported ones in the order of their reading.
        release: of the containerd.
    """
    version = 0
    proxies: dict[str, object] = {}
    plugins: dict[str, object] = {}
    disabled: list[str] = []
    lost = False
    for document in documents:
        version = document.version or version
        proxies.update(table(document.content.get("proxy_plugins")))
        section = table(document.content.get("plugins"))
        if release.migrates_each_file:
            section, incomplete = _migrated(_long(section), max(document.version, 2))
            lost = lost or incomplete
        plugins = _merged(plugins, section) if release.images_plugin else {**plugins, **section}
        disabled += strings(document.content.get("disabled_plugins"))
    version = max(version, 1)
    if release.images_plugin and not release.migrates_each_file:
        plugins, lost = _migrated(plugins, version)
    images = _images(plugins, version, release)
    runtimes = _runtimes(plugins, version, release)
    return Effective(version, proxies, plugins, tuple(disabled), images, runtimes, lost)


def _merged(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, Any]:
    """Merge tables at every depth; arrays within them are replaced."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[key] = _merged(table(old), table(value)) if both else value
    return result


def _long(plugins: Mapping[str, object]) -> dict[str, object]:
    return {CRI if name == CRI_SHORT else name: section for name, section in plugins.items()}


def _migrated(plugins: Mapping[str, object], version: int) -> tuple[dict[str, object], bool]:
    """Bring the CRI's section of 1.x to the two of 2.x.

    The rules are those of ``migrateConfig`` in ``plugins/cri/images`` and ``plugins/cri/runtime``.

    Returns:
        The sections; and whether the settings of images were left behind, which containerd does
        when the section names no runtimes.
    """
    result = dict(plugins)
    old = table(plugins.get(CRI))
    containerd = inside(old, "containerd")
    if version != 2:  # noqa: PLR2004 - the version whose sections are brought on
        return result, False
    moved = {key: old[key] for key in _MOVED if key in old}
    kept = {key: containerd[key] for key in IMAGE_KEYS if key in containerd}
    if "runtimes" in containerd:
        moved |= kept
        runtime = {"containerd": {"runtimes": containerd["runtimes"]}}
        result[CRI_RUNTIME] = _merged(table(plugins.get(CRI_RUNTIME)), runtime)
    if moved:
        result[CRI_IMAGES] = {**table(plugins.get(CRI_IMAGES)), **moved}
    return result, bool(kept) and "runtimes" not in containerd


IMAGE_KEYS = ("snapshotter", "disable_snapshot_annotations", "discard_unpacked_layers")
"""Settings of images that stand in the table ``containerd`` of the CRI's section in 1.x."""

_MOVED = ("registry", "max_concurrent_downloads", "image_pull_with_sync_fs")


def _images(plugins: Mapping[str, object], version: int, release: Release) -> Mapping[str, object]:
    if release.images_plugin:
        return table(plugins.get(CRI_IMAGES))
    return inside(plugins.get(cri_section(version)), "containerd")


def _runtimes(plugins: Mapping[str, object], version: int, release: Release) -> dict[str, str]:
    if not release.runtime_snapshotters:
        return {}
    if release.images_plugin:
        platforms = inside(plugins.get(CRI_IMAGES), "runtime_platforms")
        tables = inside(plugins.get(CRI_RUNTIME), "containerd", "runtimes")
        named = [*tables.items(), *platforms.items()]
    else:
        section = plugins.get(cri_section(version))
        named = [*inside(section, "containerd", "runtimes").items()]
    found = {name: table(one).get("snapshotter") for name, one in named}
    return {name: one for name, one in found.items() if isinstance(one, str) and one}


def cri_section(version: int) -> str:
    """Name the section of the CRI in 1.x, which reads files of version 1 by short names only."""
    return CRI_SHORT if version == 1 else CRI
