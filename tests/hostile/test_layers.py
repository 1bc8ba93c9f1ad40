"""Layers and sources whose publisher, or an image's author, wishes the node ill."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.directories.removal import remove_tree
from cvmfs_snapshotter.domain.errors import UnavailableError
from cvmfs_snapshotter.domain.labels import TARGET
from tests.harness.processes import wait_until
from tests.hostile.conftest import DIGITS, Node

OTHER = "cd" + "1" * 62
ON_THE_WAY = (".layers", ".layers/ab", f".layers/ab/{DIGITS}", f".layers/ab/{DIGITS}/layerfs")


def _instead(path: Path, link: Path) -> None:
    """Put a symbolic link in the place of something."""
    path.rename(path.with_name(f"{path.name}.away"))
    path.symlink_to(link)


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_a_link_on_the_way_to_a_layer(node: Node, name: str) -> None:
    """It is not followed, even where it leads to what looks like the layer."""
    node.layer()
    fitting = {".layers": ".layers", "ab": "ab", DIGITS: DIGITS, "layerfs": "layerfs"}
    _instead(node.source / name, node.outside.path / fitting[Path(name).name])

    assert node.pull().startswith(f"{node.root}/snapshots/")
    assert [] == node.links_out()


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_a_link_that_comes_later(node: Node, name: str) -> None:
    """A layer that was replaced by a link is out of reach for containers, not replaced with it."""
    node.layer()
    assert "hit" == node.pull()
    parent = node.name_of()
    _instead(node.source / name, node.outside.path)

    for number, make in enumerate((node.snapshotter.prepare, node.snapshotter.view)):
        with pytest.raises(UnavailableError, match="symbolic link"):
            make(f"container {number}", parent, {})
    assert [] == node.links_out()


@pytest.mark.parametrize("name", [".layers", ".layers/ab", f".layers/ab/{DIGITS}", "."])
def test_directories_that_everybody_can_write(node: Node, name: str) -> None:
    """What anybody could have published is not used, nor kept in use; the answer says why."""
    node.layer()
    assert "hit" == node.pull()
    parent = node.name_of()
    (node.source / name).chmod(0o1777)

    assert "hit" != node.pull(number=1)
    with pytest.raises(UnavailableError, match=r"everybody can write to .*1777"):
        node.snapshotter.prepare("container", parent, {})
    (node.source / name).chmod(0o775)
    assert "hit" == node.pull(number=2)


def test_the_root_of_an_image_has_any_mode(node: Node) -> None:
    """The mode of a layer's own root is its image's: a container's / may be open to all."""
    (node.layer() / "layerfs").chmod(0o1777)

    assert "hit" == node.pull()


def test_a_publisher_of_its_own(node: Node) -> None:
    """A tree that belongs to its publisher, user and group, is what NFS servers have."""
    node.layer()
    for path in (node.source, *node.source.rglob("*")):
        os.chown(path, 1234, 1234)
        path.chmod(0o775)

    assert "hit" == node.pull()


def _fill_with_links(files: Path, outside: Path) -> None:
    (files / "dir").symlink_to(outside)
    (files / "deep").mkdir()
    (files / "deep/etc").symlink_to(outside / "etc")
    (files / "deep/.wh.etc").symlink_to(outside / "etc/precious")
    (files / "deep/.wh..wh..opq").symlink_to(outside / "etc/precious")
    (files / ".wh.dir").symlink_to(outside)
    (files / "deep/.cvmfscatalog").symlink_to(outside / "etc/precious")


def _fill_with_devices(files: Path, outside: Path) -> None:
    os.mkfifo(files / ".wh.fifo")
    os.mknod(files / ".wh.null", 0o20666, os.makedev(1, 3))
    (files / "d").mkdir()
    os.mknod(files / "d/.wh.sda", 0o60600, os.makedev(8, 0))
    os.mkfifo(files / "d/.cvmfsautocatalog")


def _fill_with_names(files: Path, outside: Path) -> None:
    for name in (b"\xff\xfe", b"a\nb", b"\x01", b"x" * 255, b" ", b"-rf", b"%s", b"$(id)"):
        directory = files / os.fsdecode(name)
        directory.mkdir()
        (directory / os.fsdecode(b".wh." + name[:250])).touch()


def _fill_with_escapes(files: Path, outside: Path) -> None:
    # Names that would be ".." or "." without the prefix of a whiteout.
    for name in (".wh...", ".wh..", ".wh."):
        (files / name).touch()


def _fill_with_prefixes(files: Path, outside: Path) -> None:
    for name in (".wh..wh...", ".wh..wh.", ".wh...x", ".wh....", ".wh..wh..wh..opq"):
        (files / name).touch()


@pytest.mark.parametrize(
    "fill",
    [
        _fill_with_links,
        _fill_with_devices,
        _fill_with_names,
        _fill_with_escapes,
        _fill_with_prefixes,
    ],
)
def test_names_in_a_layer(node: Node, fill: Callable[[Path, Path], None]) -> None:
    """Whatever names a layer has: companions stay in their place, and containers can be made."""
    files = node.layer() / "layerfs"
    fill(files, node.outside.path)
    before = sorted(path.name for path in node.root.iterdir())
    outcome = node.pull()
    parent = node.name_of() if outcome == "hit" else ""
    node.snapshotter.prepare("container", parent, {})

    assert [] == node.links_out()
    assert before == sorted(path.name for path in node.root.iterdir())
    node.snapshotter.remove("container")
    if parent:
        node.snapshotter.remove(parent)
    node.snapshotter.cleanup()
    left = {path.name for path in (node.root / "companions").iterdir()}
    assert {"shared"} == left


def test_links_in_lower_layers(node: Node) -> None:
    """Directories that an upper layer made up are looked for below, but not through links."""
    lower = node.layer() / "layerfs"
    (lower / "etc").symlink_to(node.outside.path / "etc")
    (lower / "a").mkdir()
    (lower / "a/b").symlink_to(node.outside.path)
    assert "hit" == node.pull()
    upper = node.layer(OTHER) / "layerfs"
    (upper / "etc").mkdir()
    (upper / "a/b/etc").mkdir(parents=True)

    assert "hit" == node.pull(OTHER, node.name_of(), 1)
    assert [] == node.links_out()


def test_links_in_an_unpacked_layer(node: Node) -> None:
    """The same with a lower layer that containerd has unpacked."""
    made = node.snapshotter.prepare("x", "", {})
    Path(made[0].source, "etc").symlink_to(node.outside.path / "etc")
    node.snapshotter.commit("base", "x", {TARGET: "sha256:" + "0" * 64}, "")
    (node.layer() / "layerfs/etc").mkdir()

    assert "hit" == node.pull(DIGITS, "base", 1)


def _as_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / ".metadata/layers.json")


def _as_fifo(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def _as_device(path: Path, outside: Path) -> None:
    os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero: it has no end


def _as_directory(path: Path, outside: Path) -> None:
    path.mkdir()


def _huge(path: Path, outside: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _nested(path: Path, outside: Path) -> None:
    path.write_text("[" * 500_000)


def _lying(path: Path, outside: Path) -> None:
    digest = "sha256:" + "../" * 20 + "etc"
    entry = {"compressed-diff-digest": f"sha256:{DIGITS}", "diff-digest": digest, "id": digest}
    path.write_text(json.dumps([entry]))


@pytest.mark.parametrize(
    "make", [_as_link, _as_fifo, _as_device, _as_directory, _huge, _nested, _lying]
)
def test_descriptions(node: Node, make: Callable[[Path, Path], None]) -> None:
    """A description that is no such thing makes the layer a download, at once."""
    directory = node.layer()
    (directory / ".metadata").mkdir()
    make(directory / ".metadata/layers.json", node.outside.path)

    assert node.pull().startswith(f"{node.root}/snapshots/")


def test_a_link_to_descriptions(node: Node) -> None:
    """The directory of a description is not looked for elsewhere either."""
    (node.layer() / ".metadata").symlink_to(node.outside.path / ".metadata")

    assert "hit" != node.pull()


def test_a_source_that_is_a_link(node: Node) -> None:
    """The root of a source may be a link, which is the operator's; what it leads to counts now."""
    node.layer()
    first = node.source.rename(node.source.with_name("first"))
    second = node.source.with_name("second")
    (second / ".layers").mkdir(parents=True)
    node.source.symlink_to(first)
    assert "hit" == node.pull()
    parent = node.name_of()
    node.source.unlink()
    node.source.symlink_to(second)

    assert "hit" != node.pull(number=1)
    with pytest.raises(UnavailableError, match="not published"):
        node.snapshotter.prepare("container", parent, {})
    node.source.unlink()
    node.source.symlink_to(first)
    node.snapshotter.prepare("container", parent, {})
    node.source.unlink()
    node.source.symlink_to("nowhere")
    assert "hit" != node.pull(number=2)
    with pytest.raises(UnavailableError, match="not-mounted"):
        node.snapshotter.prepare("another", parent, {})
    node.source.unlink()
    node.source.symlink_to(first)
    wait_until("a trial closes the circuit", node.asked_again)
    node.snapshotter.prepare("another", parent, {})
    remove_tree(node.source.parent, "second")
