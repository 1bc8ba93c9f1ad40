"""How often Python looks for garbage while the daemon serves."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from cvmfs_snapshotter.entrypoints.garbage import ALLOCATIONS, settle_garbage_collector


class _Knot:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_is_there_is_left_alone_and_the_rest_is_not() -> None:
    """The collector passes over all that there was, and still frees what came after."""
    old = _Knot()
    settle_garbage_collector()
    young = _Knot()
    gone = [weakref.ref(old), weakref.ref(young)]
    del old, young
    gc.collect()

    assert [False, True] == [reference() is None for reference in gone]
    assert ALLOCATIONS == gc.get_threshold()[0]
