"""All about one snapshot."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters import kernel
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.layers.settings import below_root
from cvmfs_snapshotter.domain.errors import FailedPreconditionError, SnapshotterError
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.layer import Layer
from cvmfs_snapshotter.domain.mounts import Layout, Mount, PathOf, plan_mounts
from cvmfs_snapshotter.domain.ports.store import Records
from cvmfs_snapshotter.domain.snapshot import NOTHING_LOCAL, Kind, Snapshot, Usage, begin

from .. import databases
from ..root import plain_root
from .records import pages


@attrs.frozen
class About:
    """All about one snapshot.

    Attributes:
        snapshot: its record.
        parents: what it stands on, from the topmost to the bottom.
        children: names of what stands on it.
        path: where its files are; on its source, which is not looked at, for a remote one. None
            if nothing is there, or the daemon has not recorded where its source is.
        link: the short path that names it as a lower directory where mounts need one; None if
            there is none.
        companion: the paths that lie above and below its layer, to make it look as it should.
        usage: what it takes on disk, counted if no count is recorded; None if it cannot be.
        mounts: what containerd gets for it; for a committed one, for a view of it.
        trouble: why there are no mounts; empty if there are.
    """

    snapshot: Snapshot
    parents: tuple[Snapshot, ...]
    children: tuple[str, ...]
    path: str | None
    link: str | None
    companion: tuple[str, ...]
    usage: Usage | None
    mounts: tuple[Mount, ...]
    trouble: str


def about(root: str, key: str, others: Callable[[], Sequence[str]]) -> About | None:
    """Look a snapshot up. No source is looked at, so that nothing can hang.

    Args:
        root: the state directory.
        key: its key or name, or the number of its directory.
        others: gives further names, to be tried in turn if there is no such snapshot.

    Returns:
        All about it; None if there is none.

    Raises:
        StartError: the records cannot be read.
    """
    root = plain_root(root)
    found = databases.read(root, lambda records: _find(records, [key], key))
    if found is None:
        names = others()
        found = databases.read(root, lambda records: _find(records, names, "")) if names else None
    if found is None:
        return None
    (snapshot, *parents), children, places = found
    layout = Layout(root, kernel.overlay_options())
    path_of = _paths_on(places)
    mounts, trouble = _mounts(snapshot, parents, layout, path_of)
    link = layout.link(snapshot.identifier)
    return About(
        snapshot,
        tuple(parents),
        tuple(children),
        _path(snapshot, layout, path_of),
        link if os.path.lexists(link) else None,
        _companion(snapshot, layout),
        _usage(root, snapshot),
        mounts,
        trouble,
    )


_Found = tuple[Sequence[Snapshot], Sequence[str], Mapping[str, str]]


def _find(records: Records, names: Sequence[str], number: str) -> _Found | None:
    snapshot = next((one for name in names if (one := records.get(name)) is not None), None)
    identifier = snapshot.identifier if snapshot else _number(number)
    chain = records.chain(identifier)
    if not chain:
        return None
    children = pages(records, Pins(parent=chain[0].name))
    return chain, [child.name for child in children], records.source_paths()


def _number(text: str) -> int:
    # SQLite's integers have 64 bits, and Python refuses to read very long ones.
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0  # noqa: PLR2004 - digits of 2**63


def _paths_on(places: Mapping[str, str]) -> PathOf:
    def path_of(layer: Layer) -> str | None:
        place = places.get(layer.source)
        return None if place is None else f"{place}/{below_root(layer.digest)}"

    return path_of


def _path(snapshot: Snapshot, layout: Layout, path_of: PathOf) -> str | None:
    if snapshot.layer is not None:
        return path_of(snapshot.layer)
    try:
        files = Path(layout.files(snapshot.identifier))
        return str(files) if files.is_dir() else None
    except OSError:
        return None


def _companion(snapshot: Snapshot, layout: Layout) -> tuple[str, ...]:
    companion = snapshot.companion
    if companion is None:
        return ()
    above = (layout.above(companion.number),) if companion.above else ()
    below = (layout.below(companion.number),) if companion.below else ()
    return above + below


def _usage(root: str, snapshot: Snapshot) -> Usage | None:
    if snapshot.usage is not None:
        return snapshot.usage
    if snapshot.kind is Kind.VIEW:
        return NOTHING_LOCAL
    try:
        return DiskDirectories(root).usage(snapshot.identifier)
    except SnapshotterError:
        return None


def _mounts(
    snapshot: Snapshot, parents: Sequence[Snapshot], layout: Layout, path_of: PathOf
) -> tuple[tuple[Mount, ...], str]:
    shown, chain = snapshot, parents
    if snapshot.kind is Kind.COMMITTED:
        shown, chain = begin(Kind.VIEW, snapshot.name, snapshot, {}, now=0), (snapshot, *parents)
    try:
        return plan_mounts(shown, chain, layout, path_of).mounts, ""
    except FailedPreconditionError as error:
        return (), str(error)
