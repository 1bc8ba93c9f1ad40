"""Generated images: what a container sees is what the image specification says."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.harness.layers import Layer

from .deviations import leaves_ghosts, misreads_parents
from .oracle import Tree, UnspecifiedError, tree_of
from .stand import Stand, stand
from .strategies import MOST_LAYERS, images
from .unpacking import Unpacker
from .walk import differences

LONG = os.environ.get("CVMFS_SNAPSHOTTER_LONG") == "1"


@pytest.fixture(scope="module")
def shared(unpacker: Unpacker) -> Iterator[Stand]:
    """Give one stand for all images: layers, companions and sources are shared as on a node."""
    with tempfile.TemporaryDirectory() as name, stand(Path(name), unpacker) as made:
        yield made


def specified(layers: tuple[Layer, ...]) -> Tree:
    """Ask the oracle; give the image up if it is not one."""
    try:
        tree = tree_of(layers)
        assume(not leaves_ghosts(layers) and not misreads_parents(layers))
    except UnspecifiedError:
        assume(False)
        raise
    return tree


@settings(
    max_examples=1500 if LONG else 300,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(
    layers=images(),
    cut=st.sampled_from(range(MOST_LAYERS)),
    mixed=st.lists(st.booleans(), min_size=MOST_LAYERS, max_size=MOST_LAYERS),
)
def test_a_container_sees_exactly_the_files_of_its_image(
    shared: Stand, layers: tuple[Layer, ...], cut: int, mixed: list[bool]
) -> None:
    """Whichever of the lowest layers are local, unpacked by containerd, and above any others."""
    expected = specified(layers)
    count = len(layers)
    # An active snapshot on local layers alone is what containerd itself would show.
    witness = shared.shown(shared.pull(layers, [True] * count))[0]
    assert [] == differences(expected, witness), "containerd unpacks it otherwise"
    prefixes = [[number < length for number in range(count)] for length in range(count)]
    for local in prefixes if LONG else (prefixes[cut % count], mixed[:count]):
        active, view = shared.shown(shared.pull(layers, local))
        assert [] == differences(expected, active)
        assert [] == differences(expected, view)
