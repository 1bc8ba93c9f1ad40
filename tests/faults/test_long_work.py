"""Work on a layer that takes longer than a look-up may."""

import time
from concurrent.futures import ThreadPoolExecutor

from tests.faults.node import DEADLINE, SLACK, node_on
from tests.faults.stand import place
from tests.harness.fuse.faults import Operation, hangs, takes
from tests.harness.fuse.file_system import FileSystem
from tests.harness.layers import directory, file, layer
from tests.harness.repository import Repository

MANY = 30

LOWER = layer(directory("data"), *(directory(f"data/{number}", 0o700) for number in range(MANY)))
# Its directories have no entries: they are as they are in the layer below.
UPPER = layer(directory("data"), *(file(f"data/{number}/file", "x") for number in range(MANY)))
# Reading one takes more than two seconds where each directory takes a tenth of one.
DEEP = tuple(
    layer(directory("data"), *(directory(f"data/{each}-{number}") for number in range(MANY)))
    for each in ("a", "b", "c")
)


def test_many_directories_to_compare(cvmfs: FileSystem, repository: Repository) -> None:
    """Looking at the layers below may take longer than a look-up, as long as it goes on."""
    repository.publish(LOWER, UPPER)
    with node_on(cvmfs) as node:
        name = node.provide(LOWER)
        cvmfs.breaks(takes(0.1, Operation.LOOKUP, below=f"{place(LOWER)}/data"))
        started = time.monotonic()
        decision = node.pull(UPPER, name, LOWER.diff_id)
        took = time.monotonic() - started

    assert ("hit", "hit") == (decision.outcome, decision.reason)
    assert took > DEADLINE


def test_a_comparison_that_hangs(cvmfs: FileSystem, repository: Repository) -> None:
    """Without progress the layer is a miss in time, and a hit once the work could go on."""
    repository.publish(LOWER, UPPER)
    with node_on(cvmfs) as node:
        name = node.provide(LOWER)
        cvmfs.breaks(hangs(Operation.LOOKUP, below=f"{place(LOWER)}/data"))
        started = time.monotonic()
        missed = node.pull(UPPER, name, LOWER.diff_id)
        took = time.monotonic() - started
        cvmfs.heals()
        again = node.pull(UPPER, name, LOWER.diff_id)

    assert ("miss", "slow") == (missed.outcome, missed.reason)
    assert took < DEADLINE + SLACK
    assert "hit" == again.outcome


def test_three_layers_that_are_read_at_once(cvmfs: FileSystem, repository: Repository) -> None:
    """The third one has to wait for its turn, longer than a look-up may take, and is a hit too."""
    repository.publish(*DEEP)
    with node_on(cvmfs) as node:
        node.wait_until_looked_at()
        cvmfs.breaks(*(takes(0.1, Operation.READDIR, below=f"{place(d)}/data") for d in DEEP))
        started = time.monotonic()
        with ThreadPoolExecutor(len(DEEP)) as pulls:
            decisions = list(pulls.map(node.pull, DEEP))
        took = time.monotonic() - started

    assert ["hit"] * len(DEEP) == [decision.outcome for decision in decisions]
    assert took > 2 * DEADLINE
