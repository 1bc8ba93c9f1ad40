"""What each fault of a source makes of a layer."""

import errno
import os
import time

import pytest

from cvmfs_snapshotter.domain.errors import UnavailableError
from tests.faults.node import CLOSED, DEADLINE, OPENED, Node, node_on
from tests.faults.stand import ABSENT, LAYERS, files, listed, place
from tests.harness.fuse.faults import (
    OUT_OF_REACH,
    Operation,
    attributes_denied,
    fails,
    takes,
)
from tests.harness.fuse.file_system import FileSystem, file_system
from tests.harness.layers import Layer
from tests.harness.repository import Repository

ASKED = (Operation.GETXATTR, Operation.LOOKUP, Operation.OPENDIR, Operation.READDIR)
"""What a look-up asks of a client."""

REASONS = {
    errno.EIO: "io-error",
    errno.ENOTCONN: "disconnected",
    errno.ESTALE: "stale",
    errno.ELOOP: "symlink-loop",
    errno.EACCES: "denied",
    errno.ENAMETOOLONG: "failed",
    errno.ENOMEM: "failed",
}


def _outcome(node: Node, layer: Layer) -> tuple[str, str]:
    decision = node.pull(layer)
    return decision.outcome, decision.reason


@pytest.mark.parametrize("operation", ASKED, ids=lambda each: each.value)
def test_each_error_has_its_reason(repository: Repository, operation: Operation) -> None:
    """Whichever part of a look-up fails, the layer is a miss whose reason is the error's class."""
    found = {}
    # The kernel keeps nothing, so that it asks for everything each time.
    with (
        file_system(repository.path, repository.path.parent / "cvmfs", kept=0) as cvmfs,
        node_on(cvmfs, deadline=10.0) as node,
    ):
        node.wait_until_looked_at()
        for number in REASONS:
            # One failure at a time: two in a row would open the circuit.
            cvmfs.breaks(fails(number, operation))
            found[number] = _outcome(node, LAYERS[0])
            cvmfs.heals()
            assert ("hit", "hit") == _outcome(node, LAYERS[0])

    assert {number: ("miss", reason) for number, reason in REASONS.items()} == found


def test_a_layer_that_nobody_has_published(cvmfs: FileSystem) -> None:
    """It is absent, however often it is asked for: nothing is wrong with the source."""
    with node_on(cvmfs, deadline=10.0) as node:
        outcomes = [_outcome(node, ABSENT) for _ in range(5)]
        then = _outcome(node, LAYERS[0])
        opened = node.lines(OPENED)

    assert [("miss", "absent")] * 5 == outcomes
    assert ("hit", "hit") == then
    assert [] == opened


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENODATA], ids=errno.errorcode.get)
def test_denied_attributes(cvmfs: FileSystem, number: int) -> None:
    """Layers of a client that protects its attributes are hits, with one warning for all."""
    cvmfs.breaks(attributes_denied(number))
    with node_on(cvmfs, deadline=10.0) as node:
        outcomes = [_outcome(node, layer) for layer in LAYERS[:3]]
        lines = [line for line in node.daemon.lines() if "user.fqrn" in str(line.get("msg"))]
        opened = node.lines(OPENED)

    assert [("hit", "hit")] * 3 == outcomes
    assert len(lines) == 1
    assert [] == opened


def test_nothing_is_mounted(cvmfs: FileSystem, repository: Repository) -> None:
    """A tree at the mount point that is no CernVM-FS is not taken for one."""
    cvmfs.unmount()
    below = Repository.make(cvmfs.point)
    below.publish(LAYERS[0])
    with node_on(cvmfs, deadline=10.0) as node:
        outcome = _outcome(node, LAYERS[0])

    assert ("miss", "not-mounted") == outcome


def test_another_repository(cvmfs: FileSystem) -> None:
    """A repository of another name is not used."""
    cvmfs.breaks(fqrn="other.example.org")
    with node_on(cvmfs, deadline=10.0) as node:
        outcome = _outcome(node, LAYERS[0])

    assert ("miss", "wrong-repository") == outcome


def test_a_slow_client(cvmfs: FileSystem) -> None:
    """Answers that come late, but within the deadline, are as good as any."""
    cvmfs.breaks(takes(0.1))
    with node_on(cvmfs, deadline=30.0) as node:
        outcome = _outcome(node, LAYERS[0])

    assert ("hit", "hit") == outcome


def test_one_deadline_for_everything(repository: Repository) -> None:
    """Single steps that are fast enough may not add up to more than the deadline."""
    with (
        file_system(repository.path, repository.path.parent / "cvmfs", kept=0) as cvmfs,
        node_on(cvmfs) as node,
    ):
        node.wait_until_looked_at()
        cvmfs.breaks(takes(DEADLINE * 0.6))
        outcome = _outcome(node, LAYERS[0])

    assert ("miss", "slow") == outcome


def test_a_dead_client_never_yields_a_hit(cvmfs: FileSystem) -> None:
    """Also while `stat` of all its layers succeeds, none is a hit, and what needs one says so."""
    with node_on(cvmfs, deadline=10.0) as node:
        name = node.provide(LAYERS[0])
        node.client.prepare("container", name, {})
        for layer in LAYERS:
            listed(files(cvmfs, layer))
        cvmfs.dies()
        cached = [files(cvmfs, layer).stat().st_mode for layer in LAYERS]
        outcomes = [_outcome(node, layer) for layer in LAYERS]
        with pytest.raises(UnavailableError, match=LAYERS[0].digest):
            node.client.mounts("container")
        still = [files(cvmfs, layer).stat().st_mode for layer in LAYERS]

    assert len(LAYERS) == len(cached)
    assert cached == still
    assert ("miss", "disconnected") == outcomes[0]
    assert {"miss"} == {outcome for outcome, _ in outcomes}


def test_a_dead_client_and_a_name_known_to_be_missing(cvmfs: FileSystem) -> None:
    """The kernel remembers that a layer is missing; that alone must not look like health."""
    with node_on(cvmfs, deadline=10.0) as node:
        before = _outcome(node, ABSENT)
        cvmfs.dies()
        with pytest.raises(FileNotFoundError):
            os.lstat(files(cvmfs, ABSENT).parents[1])
        after = _outcome(node, ABSENT)

    assert ("miss", "absent") == before
    assert ("miss", "disconnected") == after


def test_a_layer_that_vanishes(cvmfs: FileSystem, repository: Repository) -> None:
    """What stands on it is UNAVAILABLE and says so; the source stays in use for the others."""
    with node_on(cvmfs, deadline=10.0) as node:
        name = node.provide(LAYERS[0])
        node.client.prepare("container", name, {})
        repository.withdraw(LAYERS[0])
        cvmfs.forget()
        refusals = []
        for _ in range(3):
            with pytest.raises(UnavailableError) as refused:
                node.client.mounts("container")
            refusals.append(str(refused.value))
        again = _outcome(node, LAYERS[0])
        other = _outcome(node, LAYERS[1])
        opened = node.lines(OPENED)

    for said in refusals:
        assert LAYERS[0].digest in said
        assert f"{cvmfs.point}{place(LAYERS[0])}" in said
        assert "(absent)" in said
    assert ("miss", "absent") == again
    assert ("hit", "hit") == other
    assert [] == opened


def test_out_of_reach(cvmfs: FileSystem) -> None:
    """Layers in the client's memory are hits; others, absent ones too, are no healthy misses."""
    with node_on(cvmfs, deadline=10.0) as node:
        node.provide(LAYERS[0])
        cvmfs.breaks(OUT_OF_REACH)
        known = _outcome(node, LAYERS[0])
        absent = _outcome(node, ABSENT)
        known_again = _outcome(node, LAYERS[0])
        new = _outcome(node, LAYERS[1])

    assert [("hit", "hit")] * 2 == [known, known_again]
    assert [("miss", "io-error")] * 2 == [absent, new]


def test_out_of_reach_does_not_flap(cvmfs: FileSystem) -> None:
    """The client answers its root from memory; the circuit stays open, until servers are back."""
    with node_on(cvmfs, deadline=10.0) as node:
        node.provide(LAYERS[0])
        cvmfs.breaks(OUT_OF_REACH)
        for layer in (LAYERS[1], LAYERS[2]):
            node.pull(layer)
        node.wait_for(OPENED)
        asked = cvmfs.state().counts["lookup"]
        until = time.monotonic() + 5.0
        reasons = set()
        while time.monotonic() < until:
            reasons.add(node.pull(LAYERS[3]).reason)
            time.sleep(0.2)
        tried = cvmfs.state().counts["lookup"] - asked
        flapped = (len(node.lines(OPENED)), len(node.lines(CLOSED)))
        cvmfs.heals()
        node.wait_for_hits(LAYERS[3])
        closed = node.wait_for(CLOSED)

    assert {"circuit"} == reasons
    assert (1, 0) == flapped
    assert tried > 0
    assert "look-up" == node.lines(OPENED)[0]["waits_for"]
    assert closed["tries"]
