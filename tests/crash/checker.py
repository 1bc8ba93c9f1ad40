"""What must hold whenever a core is opened, whatever happened before."""

import os
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from cvmfs_snapshotter.domain.usecases import upkeep

from .core import Core, Place
from .world import Entry, State, number_of, remote_name

Tree = Mapping[str, tuple[object, ...]]


def state_of(core: Core, place: Place) -> State:
    """Read what a core has as the model would have it, and check every snapshot's files.

    What lies in files is not asked here: ``payload`` is what is found.
    """
    names = model_names(core.records())
    return {
        names[record.identifier]: _entry(place, record, names[record.parent_identifier])
        for record in core.records()
    }


def model_names(records: Sequence[Snapshot]) -> dict[int, str]:
    """Give the names that snapshots have in the model, by identifier; an empty one for 0."""
    names = {0: ""}
    by_identifier = {record.identifier: record for record in records}
    assert len(records) == len(by_identifier)

    def name(identifier: int) -> str:
        if identifier not in names:
            record = by_identifier[identifier]
            parent = name(record.parent_identifier)
            names[identifier] = (
                remote_name(parent, record.target) if record.remote else record.name
            )
        return names[identifier]

    for identifier in by_identifier:
        name(identifier)
    return names


def _entry(place: Place, record: Snapshot, parent: str) -> Entry:
    layer = None
    if record.layer is not None:
        layer = number_of(record.layer.digest)
        digits = record.layer.digest.hex
        path = f"{place.host_path}/.layers/{digits[:2]}/{digits}/layerfs"
        assert Path(path).is_dir()
        _check_link(place, record.identifier, path)
        assert not _directory(place, record.identifier).exists()
        return Entry(record.kind, parent, record.labels, layer=layer)
    directory = _directory(place, record.identifier)
    if record.kind is Kind.VIEW and parent:
        assert not os.path.lexists(directory)
        assert not os.path.lexists(_link(place, record.identifier))
        return Entry(record.kind, parent, record.labels)
    about = (directory / "fs").lstat()
    assert stat.S_IFDIR | 0o755 == about.st_mode
    assert 0o700 == stat.S_IMODE(directory.lstat().st_mode)
    if record.kind is not Kind.VIEW:
        assert 0o711 == stat.S_IMODE((directory / "work").lstat().st_mode)
    _check_link(place, record.identifier, f"../snapshots/{record.identifier}/fs")
    payload = directory / "fs" / "payload"
    return Entry(
        record.kind,
        parent,
        record.labels,
        owner=(about.st_uid, about.st_gid),
        payload=payload.read_text() if payload.exists() else "",
    )


def _check_link(place: Place, identifier: int, expected: str) -> None:
    """Check that a link leads where it should, if it has been needed."""
    link = _link(place, identifier)
    if os.path.lexists(link):
        assert expected == str(link.readlink())


def _directory(place: Place, identifier: int) -> Path:
    return place.root / "snapshots" / str(identifier)


def _link(place: Place, identifier: int) -> Path:
    return place.root / "l" / str(identifier)


def check_start(core: Core, place: Place, companions: Mapping[int, Tree]) -> State:
    """Check everything that holds right after a start.

    Args:
        core: just opened.
        place: where.
        companions: by number of a layer, what its companion looks like.

    Returns:
        What the core has.
    """
    with closing(sqlite3.connect(place.database)) as database:
        assert [("ok",)] == database.execute("PRAGMA integrity_check").fetchall()
        assert [] == database.execute("PRAGMA foreign_key_check").fetchall()
    assert [] == core.errors
    assert _private_names(place) == {".": []}
    state = state_of(core, place)
    check_companions(core, place, companions)
    return state


def _private_names(place: Place) -> dict[str, list[str]]:
    """Tell what is half made or half deleted, by directory; the root always."""
    found = {".": [p.name for p in place.root.iterdir() if p.name.startswith(".")]}
    for name in ("snapshots", "companions", "l"):
        hidden = [p.name for p in (place.root / name).iterdir() if p.name.startswith(".")]
        if hidden:
            found[name] = hidden
    return found


def check_companions(core: Core, place: Place, expected: Mapping[int, Tree]) -> None:
    """Check that every companion in use is whole.

    Args:
        core: whose snapshots.
        place: where.
        expected: by number of a layer, what its companion looks like.
    """
    for record in core.records():
        if record.layer is None:
            continue
        number = number_of(record.layer.digest)
        assert (record.companion is not None) == (number in expected)
        if record.companion is not None:
            assert expected[number] == companion_tree(place, record.companion.number)


def companion_tree(place: Place, number: int) -> Tree:
    """Describe a companion as it is seen through its links."""
    tree: dict[str, tuple[object, ...]] = {}
    for side in "ab":
        top = place.root / "l" / f"{number}{side}"
        if not os.path.lexists(top):
            continue
        for directory, names, files in os.walk(top):
            for path in (Path(directory), *(Path(directory, name) for name in names + files)):
                about = path.stat() if path == top else path.lstat()
                tree[f"{side}/{path.relative_to(top)}"] = (
                    about.st_mode,
                    about.st_uid,
                    about.st_gid,
                    about.st_rdev,
                    about.st_mtime_ns if stat.S_ISDIR(about.st_mode) else 0,
                    "trusted.overlay.opaque" in os.listxattr(path, follow_symlinks=path == top),
                )
    return tree


def check_service(core: Core, place: Place, state: State) -> None:
    """Check that what a core has can be used, cleaned up, measured and added to.

    Args:
        core: opened; it changes nothing of the state.
        place: where.
        state: what it has.
    """
    records = core.records()
    for record in records:
        if record.kind is not Kind.COMMITTED:
            _check_mounts(core.snapshotter.mounts(record.name))
    core.snapshotter.cleanup()
    while upkeep.measure_some(core.context, 10) == 10:
        pass
    measured = core.records()
    assert all(r.usage is not None for r in measured if r.kind is Kind.COMMITTED)
    assert state == state_of(core, place)
    check_nothing_else(core, place, measured)
    highest = core.context.store.read(lambda r: r.highest_identifier())
    assert highest < core.context.store.new_identifier()


def _check_mounts(mounts: Sequence[Mount]) -> None:
    """Check that all that a mount names is there."""
    for mount in mounts:
        if mount.type == "bind":
            assert Path(mount.source).is_dir()
        for option in mount.options:
            name, _, value = option.partition("=")
            if name in {"upperdir", "workdir", "lowerdir"}:
                assert all(Path(path).is_dir() for path in value.split(":"))


def check_nothing_else(core: Core, place: Place, records: Sequence[Snapshot]) -> None:
    """Check that only what the records name is on disk, after a Cleanup."""
    own = {
        r.identifier
        for r in records
        if not r.remote and not (r.kind is Kind.VIEW and r.parent_identifier)
    }
    assert {str(number) for number in own} == _names(place.root / "snapshots")
    used = {r.companion.number for r in records if r.companion is not None}
    assert {"shared", *map(str, used)} == _names(place.root / "companions")
    linked = {r.identifier for r in records if r.kind is not Kind.VIEW}
    sides = {
        f"{r.companion.number}{side}"
        for r in records
        if r.companion is not None
        for side, there in (("a", r.companion.above), ("b", r.companion.below))
        if there
    }
    links = _names(place.root / "l")
    assert {"s", *sides} <= links <= {"s", *sides, *map(str, linked)}
    assert [] == list(core.context.store.read(lambda r: r.tombstones(0, 1000)))


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}
