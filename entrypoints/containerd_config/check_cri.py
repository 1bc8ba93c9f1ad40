"""Whether the CRI asks us, and says which layer it wants."""

from collections.abc import Iterator, Mapping

from . import lines
from .check_transfer import judged_pull, switches
from .documents import IMAGE_KEYS, Effective
from .finding import Finding, setting, settings, table_of
from .names import CRI, CRI_IMAGES, CRI_RUNTIME, CRI_SHORT, SNAPSHOTTER
from .releases import Pull, Release
from .toml import inside, shown, table
from .wanted import Wanted


def check_cri(found: Effective, wanted: Wanted) -> Iterator[Finding]:
    """Judge the CRI's settings about images.

    Args:
        found: what containerd makes of its files.
        wanted: what for.

    Yields:
        What keeps the CRI from asking for layers as it should. Where the settings stand at a place
        that this release does not read, that alone.
    """
    findings = list(_settings(found, wanted))
    misplaced = _misplaced(found, wanted.release) if findings else ""
    if misplaced:
        pull = judged_pull(found, wanted)
        yield Finding(
            "cri-place",
            misplaced,
            _table(found, wanted.release),
            add=settings(lines.images(wanted.release, pull)),
        )
    else:
        yield from findings


def _settings(found: Effective, wanted: Wanted) -> Iterator[Finding]:
    where = _table(found, wanted.release)
    snapshotter = found.images.get("snapshotter")
    # Who gives it to some runtimes only is told about those.
    if snapshotter != SNAPSHOTTER and SNAPSHOTTER not in found.runtimes.values():
        other = "its default snapshotter" if snapshotter is None else shown(snapshotter)
        yield Finding(
            "cri-snapshotter",
            f"the CRI uses {other}",
            where,
            add=(setting("snapshotter", SNAPSHOTTER),),
        )
    annotations = found.images.get("disable_snapshot_annotations")
    if annotations is not False and judged_pull(found, wanted) is Pull.LOCAL:
        why = _why_local(found.images) if wanted.release.transfer else ""
        yield Finding(
            "cri-annotations",
            f"the CRI does not say which layer it wants{why}; every layer is downloaded",
            where,
            add=(setting("disable_snapshot_annotations", value=False),),
        )


def _why_local(images: Mapping[str, object]) -> str:
    found = [line for key, line in switches(images) if key != "disable_snapshot_annotations"]
    return f" (it pulls itself because of {', '.join(found)})" if found else ""


def _table(found: Effective, release: Release) -> str:
    version = found.version
    if not release.oldest_file_version <= version <= release.newest_file_version:
        version = release.file_version
    return table_of(*lines.images_table(release, version))


def _misplaced(found: Effective, release: Release) -> str:
    """Say that the settings stand where this release does not look for them; empty if not."""
    if found.lost:
        return (
            f"containerd {release.name} does not take the CRI's settings about images from a file "
            f"of version 2 whose {table_of('plugins', CRI, 'containerd')} has no runtimes"
        )
    read = set(lines.images_table(release, found.version)[1:2])
    for name in (CRI, CRI_SHORT, CRI_IMAGES):
        section = table(found.plugins.get(name))
        place = section if name == CRI_IMAGES else inside(section, "containerd")
        if name not in read and any(key in place for key in IMAGE_KEYS):
            return (
                f"the CRI's settings about images are in the section {name}, which containerd "
                f"{release.name} does not read in a file of version {found.version}"
            )
    return ""


def check_runtimes(found: Effective, release: Release) -> Iterator[Finding]:
    """Judge runtimes that have a snapshotter of their own.

    The images of all snapshotters share one store of content. A remote layer leaves nothing in it,
    so that another snapshotter cannot unpack such an image (containerd issues 8674 and 8878).

    Args:
        found: what containerd makes of its files.
        release: of containerd.

    Yields:
        The runtimes whose snapshotter is another than that of the CRI, where one of both is ours.
    """
    usual = found.images.get("snapshotter")
    usual = usual if isinstance(usual, str) and usual else "overlayfs"
    for name, snapshotter in found.runtimes.items():
        if snapshotter != usual and SNAPSHOTTER in {snapshotter, usual}:
            keys = (
                ("plugins", CRI_RUNTIME, "containerd", "runtimes", name)
                if release.images_plugin
                else (*lines.images_table(release, found.version), "runtimes", name)
            )
            yield Finding(
                "runtime-snapshotter",
                f"the runtime {name!r} uses {shown(snapshotter)} and the CRI {shown(usual)}: what "
                "the one took from CVMFS is not there for the other, whose containers then fail "
                'with "content digest not found"',
                table_of(*keys),
                remove=(setting("snapshotter", snapshotter),),
            )
