"""Which companions the names of a layer demand."""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from cvmfs_snapshotter.domain.companions import (
    Directory,
    Names,
    Plan,
    plan,
)


def directory(path: bytes, mode: int = 0o755) -> Directory:
    """Make a directory that can be told from others."""
    return Directory(path, mode, len(path), 7, 1_000)


def names(*markers: bytes, implied: tuple[bytes, ...] = ()) -> Names:
    """Make the names of a layer with these markers and all directories they need."""
    paths = {b""}
    for path in (*markers, *(path + b"/x" for path in implied)):
        parts = path.split(b"/")
        paths.update(b"/".join(parts[:length]) for length in range(1, len(parts)))
    return Names(
        entries=len(markers),
        markers=markers,
        directories=tuple(map(directory, sorted(paths))),
        implied=implied,
    )


def paths(directories: tuple[Directory, ...]) -> list[bytes]:
    """Give the paths of directories."""
    return [d.path for d in directories]


def test_a_layer_without_markers_needs_nothing() -> None:
    """No companion is made for most layers."""
    assert not plan(Names(entries=3))
    assert Plan() == plan(Names(entries=3))


def test_a_whiteout_is_hidden_above_and_deletes_below() -> None:
    """The marker disappears, and the name it deletes is deleted from further down only."""
    made = plan(names(b"etc/.wh.passwd"))

    assert (b"etc/.wh.passwd",) == made.hidden
    assert (b"etc/passwd",) == made.deleted
    assert [b"", b"etc"] == paths(made.above)
    assert [b"", b"etc"] == paths(made.below)
    assert () == made.opaque


def test_directories_carry_the_metadata_of_the_layer() -> None:
    """What the companion covers must look as it does without it."""
    assert (directory(b""), directory(b"etc")) == plan(names(b"etc/.wh.x")).above


def test_an_opaque_mark_makes_an_opaque_directory_below() -> None:
    """Everything further down in that directory is out of sight."""
    made = plan(names(b"srv/.wh..wh..opq"))

    assert (b"srv",) == made.opaque
    assert () == made.deleted
    assert (b"srv/.wh..wh..opq",) == made.hidden


def test_an_opaque_mark_in_the_root_is_hidden_and_has_no_effect() -> None:
    """That is what containerd's own unpacking does."""
    made = plan(names(b".wh..wh..opq"))

    assert (b".wh..wh..opq",) == made.hidden
    assert () == made.below


def test_a_whiteout_beside_an_opaque_mark_is_covered_by_it() -> None:
    """Both markers are hidden; the opaque directory alone is enough."""
    made = plan(names(b"d/.wh..wh..opq", b"d/.wh.x", b"d/e/.wh.y", b"d/e/.wh..wh..opq"))

    assert (b"d",) == made.opaque
    assert () == made.deleted
    assert 4 == len(made.hidden)
    assert [b"", b"d"] == paths(made.below)


def test_a_deleted_name_has_nothing_inside_it_below() -> None:
    """For ``.wh.a`` beside a directory ``a`` with markers, the device stands for them all."""
    made = plan(names(b".wh.a", b"a/.wh.b", b"a/c/.wh..wh..opq"))

    assert (b"a",) == made.deleted
    assert () == made.opaque
    assert [b""] == paths(made.below)
    assert [b"", b"a", b"a/c"] == paths(made.above)


def test_names_that_only_begin_alike_do_not_cover_one_another() -> None:
    """``a`` covers ``a/x``, not ``ab/x``."""
    made = plan(names(b".wh.a", b"ab/.wh.x"))

    assert (b"a", b"ab/x") == made.deleted


def test_the_link_directory_of_aufs_is_an_ordinary_whiteout() -> None:
    """``.wh..wh.plnk`` deletes ``.wh.plnk``, as every other such name deletes its rest."""
    assert (b".wh.plnk",) == plan(names(b".wh..wh.plnk")).deleted


def test_catalog_markers_below_the_root_are_hidden_and_delete_nothing() -> None:
    """They are the server's, not the image's."""
    made = plan(names(b"usr/.cvmfscatalog", b"usr/lib/.cvmfsautocatalog"))

    assert (b"usr/.cvmfscatalog", b"usr/lib/.cvmfsautocatalog") == made.hidden
    assert () == made.below


def test_a_corrected_directory_appears_above_with_its_ancestors() -> None:
    """The correction covers what the publisher made up; ancestors look as they did."""
    right = Directory(b"var/tmp", 0o1777, 0, 0, 5)
    made = plan(names(implied=(b"var/tmp",)), [right])

    assert (directory(b""), directory(b"var"), right) == made.above
    assert () == made.below


def test_a_fingerprint_tells_plans_apart() -> None:
    """Two plans share it exactly if they make the same companion."""
    one = plan(names(b"a/.wh.x"))
    other = attrs.evolve(one, above=(*one.above[:1], attrs.evolve(one.above[1], mode=0o700)))

    assert one.fingerprint == plan(names(b"a/.wh.x")).fingerprint
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint != plan(names(b"a/.wh.\xff")).fingerprint


_component = st.sampled_from([b"a", b"b", b".wh.a", b".wh..wh..opq", b"c\n", b"\xff"])
_path = st.lists(_component, min_size=1, max_size=4).map(b"/".join)


@given(st.sets(_path, max_size=8))
def test_every_plan_can_be_made(found: set[bytes]) -> None:
    """Parents come first, nothing lies inside a deleted name, and every marker is hidden."""
    markers = tuple(sorted(p for p in found if b".wh." in p.rpartition(b"/")[2]))
    made = plan(names(*markers))

    assert markers == made.hidden
    for tree in (paths(made.above), paths(made.below)):
        for position, path in enumerate(tree):
            assert path == b"" or path.rpartition(b"/")[0] in tree[:position]
    assert set(made.opaque) <= set(paths(made.below))
    for path in made.deleted:
        assert path.rpartition(b"/")[0] in paths(made.below)
        assert path not in paths(made.below)
