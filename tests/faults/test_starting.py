"""A daemon that starts while its source is not there, and sources that come back."""

import errno
from collections.abc import Callable

import pytest

from tests.faults.node import OPENED, SLACK, Node, node_on
from tests.faults.stand import LAYERS, files
from tests.harness.fuse.faults import fails, hangs
from tests.harness.fuse.file_system import FileSystem

PATIENCE = 5.0
"""Seconds that a look-up may take here: long enough for a daemon to have started before."""


def _absent(cvmfs: FileSystem) -> None:
    cvmfs.unmount()
    cvmfs.point.rmdir()


def _remount(cvmfs: FileSystem) -> None:
    cvmfs.unmount()
    cvmfs.point.mkdir(exist_ok=True)
    cvmfs.mount()


TROUBLES: dict[str, tuple[Callable[[FileSystem], None], str, Callable[[FileSystem], None]]] = {
    "absent": (_absent, "not-mounted", _remount),
    "not mounted": (FileSystem.unmount, "not-mounted", _remount),
    "dead": (FileSystem.dies, "disconnected", _remount),
    "hung": (lambda cvmfs: cvmfs.breaks(hangs()), "slow", FileSystem.heals),
    "stopped": (FileSystem.stops, "slow", FileSystem.continues),
    "failing": (lambda cvmfs: cvmfs.breaks(fails(errno.EIO)), "io-error", FileSystem.heals),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_start_with_a_source_in_trouble(cvmfs: FileSystem, trouble: str) -> None:
    """The daemon serves at once, layers are misses, and hits as soon as the source is there."""
    breaks, reason, mends = TROUBLES[trouble]
    breaks(cvmfs)
    try:
        with node_on(cvmfs, deadline=PATIENCE, start=False) as node:
            node.restart()
            # Nobody has got an answer of the source yet where it gives none.
            early = len(node.lines("source is not there; its layers are downloaded until it is"))
            node.client.prepare("ordinary", "", {})
            decision = node.pull(LAYERS[0])
            mends(cvmfs)
            node.wait_for_hits(LAYERS[0], 90.0)
            starts = len(node.lines("serving"))
    finally:
        if trouble == "stopped":
            cvmfs.continues()

    if reason == "slow":
        assert not early
    assert "miss" == decision.outcome
    assert decision.reason in {reason, "circuit"}
    assert 1 == starts


def _break_and_mend(
    node: Node, breaks: Callable[[], None], mends: Callable[[], None]
) -> tuple[str, str]:
    node.provide(LAYERS[0])
    breaks()
    first, second = (node.pull(layer) for layer in LAYERS[1:3])
    node.wait_for(OPENED)
    mends()
    for layer in LAYERS[1:3]:
        node.wait_for_hits(layer, 90.0)
    return first.reason, second.reason


@pytest.mark.parametrize("trouble", [name for name in TROUBLES if name != "absent"])
def test_hits_resume(cvmfs: FileSystem, trouble: str) -> None:
    """When a source that was in trouble is well again, its layers are hits without a restart."""
    breaks, reason, mends = TROUBLES[trouble]
    with node_on(cvmfs) as node:
        reasons = _break_and_mend(node, lambda: breaks(cvmfs), lambda: mends(cvmfs))
        starts = len(node.lines("serving"))
        client = node.client
        client.prepare("container", node.provide(LAYERS[1]), {})
        mounts = client.mounts("container")

    assert {reason} >= set(reasons) - {"circuit"}
    assert 1 == starts
    assert mounts


def test_a_repository_that_is_mounted_late(cvmfs: FileSystem) -> None:
    """A mount that takes long at boot is waited for by nobody, and is used once it is there."""
    cvmfs.unmount()
    with node_on(cvmfs, start=False) as node:
        took = node.restart()
        before = [node.pull(layer).outcome for layer in LAYERS]
        cvmfs.mount()
        node.wait_for_hits(LAYERS[0], 90.0)
        (remote,) = (s.name for batch in node.client.list(["kind==committed"]) for s in batch)
        mounts = node.client.prepare("container", remote, {})

    assert took < SLACK
    assert ["miss"] * len(LAYERS) == before
    assert mounts[0].options[-1].endswith(f":{files(cvmfs, LAYERS[0])}")
