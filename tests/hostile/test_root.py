"""Names in requests, and links in the place of the daemon's own directories."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.companions import DiskCompanions
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.layers.answers import names_in
from cvmfs_snapshotter.domain.companions import Companion, Directory, Plan
from cvmfs_snapshotter.domain.errors import ResourceExhaustedError
from tests.hostile.conftest import Node

NAMES = (
    *("../../outside/etc", "/etc/passwd", "..", ".", "\0", "a\0b", "\n", "~", "l/1"),
    *("x" * 32_768, "\udbff\udfff".encode("utf-16", "surrogatepass").decode("utf-16"), "-rf /"),
)
NO_DIRECTORY = "(?i)not a directory"
OWN = ("snapshots", "l", "companions")


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_are_never_paths(node: Node, name: str) -> None:
    """Keys, names and labels are texts: directories are named by numbers alone."""
    labels = {"containerd.io/snapshot/x": name[:4000], "k": "../../../etc"}
    node.snapshotter.prepare(name, "", labels)
    node.snapshotter.mounts(name)
    node.snapshotter.commit(f"{name[:100]}!", name, labels, "")
    node.snapshotter.view(name, f"{name[:100]}!", labels)
    node.snapshotter.update(name, labels, ["labels.k"])
    node.snapshotter.usage(name)

    for directory in ("snapshots", "l"):
        found = {path.name for path in (node.root / directory).iterdir()} - {"s"}
        assert all(entry.isdecimal() for entry in found)
    node.snapshotter.remove(name)
    node.snapshotter.remove(f"{name[:100]}!")
    node.snapshotter.cleanup()
    assert [] == list((node.root / "snapshots").iterdir())


def _replace(node: Node, name: str) -> Path:
    away = node.root / f"{name}.away"
    (node.root / name).rename(away)
    (node.root / name).symlink_to(node.outside.path)
    return away


@pytest.mark.parametrize("name", OWN)
def test_a_link_in_the_place_of_a_directory_at_start(node: Node, name: str) -> None:
    """It is not followed, and its target keeps its mode."""
    _replace(node, name)
    with pytest.raises(ResourceExhaustedError, match=f"{name} is not a directory"):
        DiskDirectories(str(node.root)).prepare()


@pytest.mark.parametrize("name", ["snapshots", "l"])
def test_a_link_in_the_place_of_a_directory_while_running(node: Node, name: str) -> None:
    """Nothing is made, measured or deleted through it; when it is gone, all goes on."""
    snapshotter = node.snapshotter
    for key in ("active", "gone", "x"):
        snapshotter.prepare(key, "", {})
    snapshotter.commit("base", "x", {}, "")
    snapshotter.remove("gone")
    away = _replace(node, name)

    directories = node.parts.context.directories
    refused: dict[str, tuple[Callable[[], object], ...]] = {
        "snapshots": (
            lambda: snapshotter.prepare("new", "base", {}),
            lambda: snapshotter.mounts("active"),
            lambda: snapshotter.usage("active"),
            lambda: snapshotter.view("view", "", {}),
        ),
        "l": (lambda: directories.link_files(1), lambda: directories.link_layer(2, "/x")),
    }
    for ask in refused[name]:
        with pytest.raises(ResourceExhaustedError, match=NO_DIRECTORY):
            ask()
    with pytest.raises(ResourceExhaustedError, match=NO_DIRECTORY):
        snapshotter.cleanup()
    (node.root / name).unlink()
    away.rename(node.root / name)
    snapshotter.cleanup()
    snapshotter.prepare("new", "base", {})
    snapshotter.remove("active")
    snapshotter.cleanup()
    assert 2 == len(list((node.root / "snapshots").iterdir()))


@pytest.mark.parametrize("name", ["companions", "l"])
def test_companions_are_not_made_elsewhere(node: Node, name: str) -> None:
    """A link in the place of their directory, or of that of the links, is not followed."""
    plan = Plan(below=(Directory(b"", 0o755, 0, 0, 1),), deleted=(b"x",))
    companions = DiskCompanions(node.root)
    companions.build(7, plan)
    away = _replace(node, name)

    with pytest.raises(ResourceExhaustedError, match="is not a directory"):
        companions.build(8, plan)
    with pytest.raises(ResourceExhaustedError, match="is not a directory"):
        companions.mend(Companion(7, above=False, below=True))
    with pytest.raises(ResourceExhaustedError, match="is not a directory"):
        companions.remove(7)
    (node.root / name).unlink()
    away.rename(node.root / name)
    companions.remove(7)
    assert ["shared"] == [path.name for path in (node.root / "companions").iterdir()]


@pytest.mark.parametrize("path", [b"../../../outside/etc", b"..", b"../a", b"./.."])
def test_companions_stay_in_their_place(node: Node, path: bytes) -> None:
    """A plan with a path that leads upwards is not carried out."""
    top = Directory(b"", 0o755, 0, 0, 1)
    plans = (
        Plan(below=(top,), deleted=(path,)),
        Plan(above=(top, Directory(path, 0o755, 0, 0, 1))),
        Plan(below=(top,), opaque=(path,)),
    )
    for plan in plans:
        with pytest.raises(ResourceExhaustedError, match="leads out"):
            DiskCompanions(node.root).build(5, plan)
    assert ["shared"] == [entry.name for entry in (node.root / "companions").iterdir()]


@pytest.mark.parametrize("path", ["../x", "a/../x", "/etc/x", "a//b", ".", "a/", "a\0b", "\ud800"])
def test_a_probe_process_does_not_choose_paths(path: str) -> None:
    """An answer that names a path which is none inside a layer is no answer."""
    sound: dict[str, object] = {
        "entries": 1,
        "markers": ["d/.wh.x"],
        "implied": ["d"],
        "directories": [["", 0o755, 0, 0, 1], ["d", 0o755, 0, 0, 1]],
        "owners": [[0, 0]],
        "unusable": "",
        "stamp": "",
    }
    assert names_in(sound) is not None
    for key, value in (
        ("markers", [path]),
        ("implied", [path]),
        ("directories", [[path, 0o755, 0, 0, 1]]),
        ("unusable", path),
    ):
        assert names_in(sound | {key: value}) is None
