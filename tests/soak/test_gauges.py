"""The soak sees the processes and descriptors that it counts."""

import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from tests.harness.processes import processes, wait_until

from .gauges import Gauge, descriptors_of, parent, probes
from .leaks import SIGNS, orphans, too_many


@pytest.fixture
def probe() -> Iterator[int]:
    """A process that looks like a probe process of ours."""
    command = (sys.executable, "-c", "input()", WORKER_MODULE)
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        wait_until("its command line", lambda: (process.pid, list(command)) in processes())
        yield process.pid
        process.kill()


def test_probes_are_those_of_one_daemon(probe: int) -> None:
    """A probe process belongs to the process that started it."""
    assert probe in probes(os.getpid())
    assert os.getpid() == parent(probe)
    assert [] == probes(probe)


def test_a_probe_that_outlives_its_daemon_is_a_leak(probe: int) -> None:
    """One that was seen with an earlier daemon and is still there is nobody's."""
    earlier = Gauge(0.0, 1, 60.0, 30, 40, frozenset({probe}))

    assert [probe] == orphans([earlier], own=2)
    assert [] == orphans([earlier], own=1)
    assert [] == orphans([earlier], own=os.getpid())


def test_descriptors_are_counted_by_what_is_open() -> None:
    """Two sockets are two of one name, whatever their numbers."""
    before = descriptors_of(os.getpid())
    with socket.socket(), socket.socket():
        during = descriptors_of(os.getpid())

    assert Counter({"socket": 2}) == during - before


@pytest.mark.parametrize(("open_there", "probes"), [(4, 4), (5, 4), (6, 4), (1, 0), (2, 0)])
def test_one_note_for_each_probe(open_there: int, probes: int) -> None:
    """More than that, or another file that was deleted, is a leak."""
    descriptors = Counter({SIGNS: open_there, "/a (deleted)": 1, "/b": 9})
    found = {"/a (deleted)": 1} | ({SIGNS: open_there} if open_there > probes + 1 else {})

    assert found == too_many(descriptors, probes)
