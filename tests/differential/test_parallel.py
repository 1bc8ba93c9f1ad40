"""Layers that are unpacked, or staged, before their parents are there, as containerd 2.2 does."""

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.domain.usecases.snapshotter import LayerSnapshotter
from tests.harness.layers import Layer, chain_ids, directory, file, layer, opaque, whiteout

from .oracle import tree_of
from .stand import Stand, stand
from .unpacking import Unpacker
from .walk import differences

LAYERS = (
    layer(
        directory("."),
        directory("a"),
        file("a/deleted", "1"),
        file("a/kept", "2"),
        directory("d"),
        file("d/hidden", "3"),
    ),
    layer(directory("."), directory("a"), whiteout("a/deleted"), file("a/new", "4")),
    layer(directory("."), directory("d"), opaque("d"), file("d/new", "5")),
)

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared(unpacker: Unpacker) -> Iterator[Stand]:
    """Give a stand whose snapshotter stages layers."""
    with tempfile.TemporaryDirectory() as name, stand(Path(name), unpacker) as made:
        context = attrs.evolve(made.snapshotter.context, staged=True)
        yield attrs.evolve(made, snapshotter=LayerSnapshotter(context))


def labels_of(layers: Sequence[Layer], number: int) -> dict[str, str]:
    """Give the labels that containerd sends from 2.3 on."""
    targets = chain_ids(each.diff_id for each in layers)
    labels = {
        label_rules.TARGET: targets[number],
        label_rules.LAYER_DIGEST: layers[number].digest,
        label_rules.DIFF_ID: layers[number].diff_id,
    }
    return labels | ({label_rules.PARENT_CHAIN_ID: targets[number - 1]} if number else {})


def pull_in_parallel(shared: Stand, layers: Sequence[Layer]) -> str:
    """Prepare and unpack from the top down, each without its parent; commit from the bottom up.

    Returns:
        Name of the topmost snapshot.
    """
    run, snapshotter = next(_numbers), shared.snapshotter
    provided = ""
    for number in reversed(range(len(layers))):
        labels = labels_of(layers, number)
        try:
            mounts = snapshotter.prepare(f"p/{run}/{number}", "", labels)
        except AlreadyExistsError:
            assert 0 == number
            provided = f"{labels[label_rules.TARGET]}@0"
            continue
        if not read_only(mounts):
            assert shared.unpacker is not None
            shared.unpacker.apply(layers[number], mounts)
    parent = provided
    for number in range(1 if provided else 0, len(layers)):
        labels = labels_of(layers, number)
        name = f"p/{run}/{labels[label_rules.TARGET]}"
        snapshotter.commit(name, f"p/{run}/{number}", labels, parent)
        parent = name
    return parent


def read_only(mounts: Sequence[Mount]) -> bool:
    """Tell whether containerd 2.4 takes a layer for unpacked already."""
    return "ro" in mounts[-1].options


@pytest.mark.parametrize("published", list(itertools.product([False, True], repeat=3)))
def test_the_tree_is_the_images(shared: Stand, published: tuple[bool, ...]) -> None:
    """Whichever layers are published: whiteouts work, though nothing was below while unpacking."""
    seed = f"{published}"
    layers = [layer(*each.entries, file(f"seed{n}", seed)) for n, each in enumerate(LAYERS)]
    for each, is_published in zip(layers, published, strict=True):
        if is_published:
            shared.repository.publish(each)
    top = pull_in_parallel(shared, layers)
    active, view = shared.shown(top)

    expected = tree_of(layers)
    assert [] == differences(expected, active)
    assert [] == differences(expected, view)


def test_the_mount_of_a_staged_layer_shows_the_layer(shared: Stand) -> None:
    """containerd does not mount it, but who does sees the layer alone, and cannot write."""
    only = layer(directory("."), file("only", "1"))
    shared.repository.publish(LAYERS[0], only)
    key = f"p/{next(_numbers)}/staged"
    mounts = shared.snapshotter.prepare(key, "", labels_of([LAYERS[0], only], 1))

    assert read_only(mounts)
    assert [] == differences(tree_of([only]), shared.read(mounts))
