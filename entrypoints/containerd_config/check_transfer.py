"""How the CRI pulls from 2.1 on, and whether the transfer service does its part.

Sources: ``CheckLocalImagePullConfigs`` of the CRI's configuration, ``plugins/transfer/plugin.go``
and ``core/transfer/local/pull.go`` of containerd.
"""

from collections.abc import Iterator, Mapping, Sequence

from . import lines
from .documents import Effective
from .finding import Finding, entry_of, setting, settings, table_of
from .names import (
    ANNOTATIONS_EXPORT,
    BUILT_IN,
    OVERLAYFS,
    SNAPSHOT_PLUGIN,
    SNAPSHOTTER,
    TRANSFER,
    WALKING,
)
from .platforms import matches
from .releases import Pull, Release
from .toml import inside, shown, table
from .wanted import Wanted

_USUAL_DOWNLOADS = 3


def switches(images: Mapping[str, object]) -> list[tuple[str, str]]:
    """Find what makes the CRI pull by itself, though its release would use the transfer service.

    Args:
        images: its settings about images.

    Returns:
        Each key below these settings, and the line as a message shows it.
    """
    found = [
        (key, setting(key, value))
        for key, value in (
            ("use_local_image_pull", True),
            ("disable_snapshot_annotations", False),
            ("discard_unpacked_layers", True),
            ("image_pull_with_sync_fs", True),
        )
        if images.get(key) is value
    ]
    downloads = images.get("max_concurrent_downloads", _USUAL_DOWNLOADS)
    if downloads != _USUAL_DOWNLOADS:
        found.append(
            ("max_concurrent_downloads", f"max_concurrent_downloads = {shown(downloads)}")
        )
    registry = table(images.get("registry"))
    keys = [f"registry.{key}" for key in ("mirrors", "configs", "auths") if registry.get(key)]
    return [*found, *((key, key) for key in keys)]


def pull_of(found: Effective, release: Release) -> Pull:
    """Tell how the CRI pulls with what containerd makes of its files."""
    local = not release.transfer or switches(found.images)
    return Pull.LOCAL if local else Pull.TRANSFER


def judged_pull(found: Effective, wanted: Wanted) -> Pull:
    """Tell for which way to pull a configuration is judged.

    It is the one that is wanted; else the one that the CRI takes. A file that says nothing about
    either way is judged for the local pull, since that needs less.
    """
    if wanted.pull is not None:
        return wanted.pull
    pull = pull_of(found, wanted.release)
    prepared = _exported(found) is not None or _unpacking(found) is not None
    return pull if prepared else Pull.LOCAL


def check_transfer(found: Effective, wanted: Wanted) -> Iterator[Finding]:
    """Judge the transfer service.

    Args:
        found: what containerd makes of its files.
        wanted: what for.

    Yields:
        What keeps it from starting, and, where images are to be pulled through it, what keeps
        layers from being remote.
    """
    if not wanted.release.transfer:
        return
    exported = _exported(found)
    if exported is not None and not isinstance(exported, str):
        yield _export(
            f"the proxy plugin exports {ANNOTATIONS_EXPORT} = {shown(exported)}, which is no "
            "string: containerd does not start"
        )
    elif exported not in {None, "true"}:
        yield _export(
            f"only the string true counts, and the proxy plugin exports {shown(exported)}"
        )
    elif exported is None and judged_pull(found, wanted) is Pull.TRANSFER:
        yield _export("the transfer service does not say which layer it wants")
    if wanted.pull is Pull.TRANSFER:
        yield from _turned_off(found, wanted.release)
    entries = _unpacking(found)
    if judged_pull(found, wanted) is Pull.TRANSFER and not _of(entries, SNAPSHOTTER):
        yield _missing(
            "unpack-missing",
            "the transfer service unpacks nothing into our snapshots: images are pulled and "
            "cannot be used",
            SNAPSHOTTER,
            wanted,
        )
    yield from _listed(found, entries, wanted)


def _export(problem: str) -> Finding:
    return Finding(
        "transfer-annotations",
        problem,
        table_of(*lines.EXPORTS),
        add=(setting(ANNOTATIONS_EXPORT, "true"),),
    )


def _turned_off(found: Effective, release: Release) -> Iterator[Finding]:
    where = table_of(*lines.images_table(release, found.version))
    for key, line in switches(found.images):
        yield Finding(
            "transfer-off",
            f"the CRI pulls itself and not through the transfer service, because of {key}",
            where,
            remove=(line,),
        )


def _exported(found: Effective) -> object:
    return inside(found.proxies.get(SNAPSHOTTER), "exports").get(ANNOTATIONS_EXPORT)


def _unpacking(found: Effective) -> Sequence[Mapping[str, object]] | None:
    entries = table(found.plugins.get(TRANSFER)).get("unpack_config")
    return [table(entry) for entry in entries] if isinstance(entries, list) else None


def _of(
    entries: Sequence[Mapping[str, object]] | None, snapshotter: str
) -> list[Mapping[str, object]]:
    return [entry for entry in entries or () if entry.get("snapshotter") == snapshotter]


def _missing(name: str, problem: str, snapshotter: str, wanted: Wanted) -> Finding:
    return Finding(
        name,
        problem,
        entry_of(*lines.UNPACKING),
        add=settings(lines.unpacking(snapshotter, wanted.platform)),
    )


def _listed(
    found: Effective, entries: Sequence[Mapping[str, object]] | None, wanted: Wanted
) -> Iterator[Finding]:
    """Judge the entries that are there."""
    overlayfs = [entry.get("platform") for entry in _of(entries, OVERLAYFS)]
    if _of(entries, SNAPSHOTTER) and not any(matches(one, wanted.platform) for one in overlayfs):
        yield _missing(
            "unpack-overlayfs",
            "unpack_config replaces containerd's own list and has no entry for overlayfs any "
            "more: whatever uses that gets images that are not unpacked",
            OVERLAYFS,
            wanted,
        )
    for entry in entries or ():
        yield from _unknown(found, entry, wanted.release)
        platform = entry.get("platform")
        if not isinstance(platform, str) or not platform:
            yield Finding(
                "unpack-no-platform",
                f"unpack_config has an entry for {shown(entry.get('snapshotter'))} without a "
                "platform: the transfer service does not start, and the CRI not without it",
                entry_of(*lines.UNPACKING),
                add=(setting("platform", wanted.platform),),
            )
    yield from _own(_of(entries, SNAPSHOTTER), wanted)


def _unknown(found: Effective, entry: Mapping[str, object], release: Release) -> Iterator[Finding]:
    snapshotter = entry.get("snapshotter")
    optional = release.optional_unpacking and entry.get("optional") is True
    proxies = {name for name, one in found.proxies.items() if table(one).get("type") == "snapshot"}
    known = {
        name for name in BUILT_IN | proxies if f"{SNAPSHOT_PLUGIN}.{name}" not in found.disabled
    }
    # Whether our own proxy plugin is there is told apart.
    there = isinstance(snapshotter, str) and snapshotter in known | {SNAPSHOTTER}
    if not there and not optional:
        yield Finding(
            "unpack-unknown",
            f"unpack_config names the snapshotter {shown(snapshotter)}, which is not there: the "
            "transfer service does not start, and the CRI not without it",
            entry_of(*lines.UNPACKING),
            remove=(f"snapshotter = {shown(snapshotter)}",),
        )


def _own(entries: Sequence[Mapping[str, object]], wanted: Wanted) -> Iterator[Finding]:
    """Judge our entries. Those for other platforms do no harm beside one for this machine."""
    where = entry_of(*lines.UNPACKING)
    named = [platform for entry in entries if (platform := entry.get("platform"))]
    if named and not any(matches(platform, wanted.platform) for platform in named):
        yield Finding(
            "unpack-platform",
            f"unpack_config has our snapshotter for the platform {shown(named[0])}, and this "
            f"machine is {wanted.platform}: the transfer service unpacks none of its images, or "
            "does not start, and the CRI not without it",
            where,
            add=(setting("platform", wanted.platform),),
        )
    for entry in entries:
        differ = entry.get("differ", "")
        if differ != WALKING and (differ or wanted.release.guesses_differ):
            yield Finding(
                "unpack-differ",
                f"unpack_config has our snapshotter with the differ {shown(differ)}: only "
                f"{WALKING!r} unpacks into a mounted directory, and 2.1.0 and 2.1.1 take another "
                "one if none is named",
                where,
                add=(setting("differ", WALKING),),
            )
