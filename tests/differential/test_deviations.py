"""Where containerd's own unpacking differs from the specification, and what we show there.

Each is a case that generated images leave out, because containerd is no witness for it.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import grpc
import pytest

from tests.harness.layers import (
    Entry,
    Layer,
    directory,
    file,
    hardlink,
    layer,
    opaque,
    symlink,
    whiteout,
)

from .oracle import IMPLIED, Tree, tree_of
from .stand import Stand, stand
from .unpacking import Unpacker
from .walk import differences

BASE = layer(
    directory("a"),
    file("a/old", "1"),
    directory("a/deep", 0o700),
    file("a/deep/old", "2"),
    file("kept", "3"),
)


@pytest.fixture(scope="module")
def shared(unpacker: Unpacker) -> Iterator[Stand]:
    """Give one stand for all images."""
    with tempfile.TemporaryDirectory() as name, stand(Path(name), unpacker) as made:
        yield made


def ours(shared: Stand, *layers: Layer) -> Tree:
    """Give what a container sees when all layers are published; a view sees the same."""
    active, view = shared.shown(shared.pull(layers, [False] * len(layers)))
    assert [] == differences(active, view)
    return active


def containerds(shared: Stand, *layers: Layer) -> Tree:
    """Give what a container sees when containerd unpacks all layers."""
    return shared.shown(shared.pull(layers, [True] * len(layers)))[0]


AS_SPECIFIED: dict[str, tuple[Layer, ...]] = {
    "a whiteout before the directory of its name": (
        BASE,
        layer(whiteout("a"), directory("a"), file("a/new", "4")),
    ),
    "a whiteout after the directory of its name": (
        BASE,
        layer(directory("a"), file("a/new", "4"), whiteout("a")),
    ),
    "a whiteout and the file of its name": (BASE, layer(whiteout("a"), file("a", "4"))),
    "a whiteout of a directory with markers inside the new one": (
        BASE,
        layer(whiteout("a"), directory("a"), whiteout("a/x"), opaque("a"), file("a/new", "4")),
    ),
    "a whiteout with something inside and no entry of its own": (
        BASE,
        layer(whiteout("a"), file("a/new", "4")),
    ),
    "whiteouts in the bottom layer": (
        layer(whiteout("none"), directory("d"), whiteout("d/none"), opaque("d"), file("d/x", "1")),
    ),
    "an opaque mark beside a whiteout": (
        BASE,
        layer(directory("a"), whiteout("a/old"), opaque("a"), file("a/new", "4")),
    ),
    "a whiteout of a name that is nowhere": (BASE, layer(whiteout("none"), whiteout("a/none"))),
    "a whiteout in a directory that is nowhere": (BASE, layer(whiteout("new/none"))),
    "an opaque mark in the root": (BASE, layer(file(".wh..wh..opq", ""), file("new", "4"))),
    "the link directory of AUFS": (
        layer(directory(".wh-like"), file("kept", "1")),
        layer(file(".wh..wh.plnk", ""), file("new", "2")),
    ),
    "a directory replaced by a file and back": (
        BASE,
        layer(whiteout("a"), file("a", "file")),
        layer(whiteout("a"), directory("a", 0o711), file("a/again", "5")),
    ),
    "a symbolic link in place of a directory": (BASE, layer(symlink("a", "kept"))),
    "names of all kinds": (
        layer(*(file(f"d/{name}", "1") for name in ("s p", "n\nl", "c:o,l", "b\\s", "\udcff"))),
        layer(*(whiteout(f"d/{name}") for name in ("s p", "n\nl", "c:o,l", "b\\s", "\udcff"))),
    ),
    "the longest name that can be deleted": (
        layer(file("n" * 251, "1"), file("m" * 255, "2")),
        layer(whiteout("n" * 251)),
    ),
    "a directory without an entry where a file was further down": (
        layer(file("a", "file")),
        layer(whiteout("a")),
        layer(directory("a"), directory("a/b", 0o711)),
        layer(file("a/b/c", "1")),
    ),
    "a directory without an entry that is hidden further down": (
        layer(directory("a"), directory("a/b", 0o700), file("a/b/c", "1")),
        layer(directory("a"), opaque("a")),
        layer(file("a/b/d", "2")),
    ),
    "a directory deleted and made anew without an entry": (
        layer(directory("a", 0o1777), directory("a/e", 0o1770, uid=5)),
        layer(whiteout("a"), file("a/new", "1")),
    ),
    "a directory made anew without an entry in an opaque one": (
        layer(directory("a", 0o1777), directory("a/e", 0o1770, uid=5)),
        layer(opaque("a"), file("a/e/g", "1")),
    ),
    "a directory deleted and made anew deep down without an entry": (
        layer(directory("a", 0o1777), directory("a/e", 0o1770, uid=5)),
        layer(directory("a"), whiteout("a/e"), file("a/e/g/h", "1")),
    ),
    "files and directories with the names of catalog markers": (
        layer(directory("a/.cvmfscatalog"), file("a/.cvmfscatalog/x", "1")),
        layer(file("b/.cvmfsautocatalog", "not empty"), whiteout("a/.cvmfscatalog/x")),
    ),
    "deletions from several layers": (
        BASE,
        layer(directory("a"), file("a/second", "4")),
        layer(whiteout("a/old"), whiteout("a/second"), whiteout("a/deep")),
    ),
    "one layer twice, with deletions between": (
        BASE,
        layer(whiteout("a")),
        BASE,
        layer(whiteout("a/deep")),
    ),
    "two layers that delete the same": (
        BASE,
        layer(whiteout("a"), file("one", "1")),
        layer(whiteout("a"), file("two", "2")),
    ),
}


@pytest.mark.parametrize("name", AS_SPECIFIED)
def test_published_layers_show_what_the_specification_says(shared: Stand, name: str) -> None:
    """Whatever containerd's own unpacking makes of them."""
    layers = AS_SPECIFIED[name]

    assert [] == differences(tree_of(layers), ours(shared, *layers))


def test_containerd_merges_what_a_whiteout_before_a_directory_hides(shared: Stand) -> None:
    """The old files are back in its tree, and not in ours."""
    layers = AS_SPECIFIED["a whiteout before the directory of its name"]

    assert "a/old" in containerds(shared, *layers)
    assert "a/old" not in ours(shared, *layers)


@pytest.mark.parametrize(
    "name",
    [
        "a whiteout after the directory of its name",
        "a whiteout with something inside and no entry of its own",
    ],
)
def test_containerd_cannot_unpack_some_layers(shared: Stand, name: str) -> None:
    """The pull of such an image fails without a source; with one it works."""
    with pytest.raises(grpc.RpcError):
        containerds(shared, *AS_SPECIFIED[name])


def test_an_opaque_mark_in_the_root_has_no_effect_for_containerd_either(shared: Stand) -> None:
    """The specification leaves it open; we do as containerd does."""
    layers = AS_SPECIFIED["an opaque mark in the root"]

    assert [] == differences(tree_of(layers), containerds(shared, *layers))


def test_the_link_directory_of_aufs_is_a_whiteout_for_containerd_too(shared: Stand) -> None:
    """Neither shows the marker."""
    layers = AS_SPECIFIED["the link directory of AUFS"]

    assert [] == differences(tree_of(layers), containerds(shared, *layers))


def test_containerd_lists_whiteouts_in_directories_that_hide_nothing(shared: Stand) -> None:
    """A name is listed there that cannot be looked at; not so in ours."""
    layers = AS_SPECIFIED["a whiteout in a directory that is nowhere"]

    with pytest.raises(FileNotFoundError):
        containerds(shared, *layers)
    assert "new/none" not in ours(shared, *layers)


def test_containerd_takes_the_mode_of_a_hidden_directory(shared: Stand) -> None:
    """It looks at each layer on its own; we show what a new directory has."""
    layers = AS_SPECIFIED["a directory without an entry that is hidden further down"]

    assert 0o700 == containerds(shared, *layers)["a/b"].mode
    assert 0o755 == ours(shared, *layers)["a/b"].mode


def test_containerd_gives_up_where_a_file_was_on_the_way(shared: Stand) -> None:
    """The pull fails without a source, though the file was deleted between."""
    layers = (
        layer(file("a", "file")),
        layer(whiteout("a")),
        layer(directory("a")),
        layer(file("a/b/c", "1")),
    )

    with pytest.raises(grpc.RpcError):
        containerds(shared, *layers)
    assert [] == differences(tree_of(layers), ours(shared, *layers))


def test_containerd_gives_implied_directories_the_group_of_a_setgid_parent(shared: Stand) -> None:
    """The kernel does that when it makes a directory; the specification knows nothing of it."""
    layers = (layer(directory("a", 0o2775, gid=50)), layer(file("a/new/x", "1")))

    assert 50 == containerds(shared, *layers)["a/new"].gid
    assert 0 == ours(shared, *layers)["a/new"].gid


@pytest.mark.parametrize(
    "bad",
    [
        file("d/.wh.", ""),
        file("d/.wh..", ""),
        file("d/.wh...", ""),
        directory("d/.wh.x"),
        directory(".cvmfsautocatalog"),
        file(".cvmfsautocatalog", "not empty"),
    ],
    ids=lambda entry: f"{entry.kind.name} {entry.path}",
)
def test_names_that_can_be_no_whiteouts_make_a_layer_a_miss(shared: Stand, bad: Entry) -> None:
    """containerd refuses such an archive, and we do not pretend to know better."""
    with pytest.raises(pytest.fail.Exception, match="UNUSABLE_NAME"):
        ours(shared, layer(directory("d"), bad))


def test_implied_directories_keep_mode_and_owner_of_the_layers_below(shared: Stand) -> None:
    """``/tmp`` stays 1777 though the layer has no entry for it, over local and remote layers."""
    base = layer(directory("tmp", 0o1777), directory("srv", 0o750, uid=7, gid=8))
    between = layer(file("srv/made/x", "1"))
    top = layer(file("tmp/new", "2"), file("srv/made/y", "3"))
    expected = tree_of((base, between, top))

    assert (0o1777, 0o750) == (expected["tmp"].mode, expected["srv"].mode)
    for local in ([False] * 3, [True, False, False], [False, True, False]):
        active, view = shared.shown(shared.pull((base, between, top), local))
        assert [] == differences(expected, active)
        assert [] == differences(expected, view)


def test_implied_directories_have_the_owner_of_root_where_nothing_is_below(
    unpacker: Unpacker, tmp_path: Path
) -> None:
    """The publisher's owner means nothing in a container."""
    with stand(tmp_path, unpacker, owner=(998, 998)) as made:
        shown = ours(made, layer(file("made/x", "1", uid=5)))

    assert attrs.evolve(IMPLIED, mtime=shown["made"].mtime) == shown["made"]


def test_catalog_markers_are_never_visible(unpacker: Unpacker, tmp_path: Path) -> None:
    """In the root and below; one that a local layer has is the image's own and visible."""
    marked = layer(
        directory("usr"),
        file("usr/.cvmfscatalog", ""),
        file("usr/.cvmfsautocatalog", ""),
        file(".cvmfsautocatalog", ""),
        file("usr/x", "1"),
    )
    own = layer(file(".cvmfscatalog", "mine"), file("usr/.cvmfscatalog", "mine"))
    with stand(tmp_path, unpacker) as made:
        assert {"usr", "usr/x"} == set(ours(made, marked))
        active, view = made.shown(made.pull((marked, own), [False, True]))

    for tree in (active, view):
        assert {".cvmfscatalog", "usr", "usr/.cvmfscatalog", "usr/x"} == set(tree)


def test_setuid_is_kept_in_views_of_one_layer(shared: Stand) -> None:
    """A bind of the source would lose it; that view is an overlay."""
    shown = ours(shared, layer(file("su", "x", 0o4755), file("sg", "x", 0o2755)))

    assert (0o4755, 0o2755) == (shown["su"].mode, shown["sg"].mode)


def test_hard_links_are_copies(shared: Stand) -> None:
    """Their contents and metadata agree; that they are one file is lost on CVMFS."""
    layers = (layer(file("x", "1", 0o640, uid=3), hardlink("y", "x")),)
    shown = ours(shared, *layers)

    assert shown["x"] == shown["y"]


def test_128_layers_of_which_every_second_deletes_can_be_mounted(
    unpacker: Unpacker, tmp_path: Path
) -> None:
    """Links keep the options within the page that mount(2) takes, companions included."""
    layers = tuple(
        layer(file(f"f{n}", str(n)), *([whiteout(f"f{n - 1}")] if n % 2 else []))
        for n in range(128)
    )
    with stand(tmp_path, unpacker) as made:
        shown = ours(made, *layers)

    assert {f"f{n}" for n in range(1, 128, 2)} == set(shown)
