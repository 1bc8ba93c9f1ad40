"""What the daemon uses of the machine, looked at every few seconds."""

import re
import threading
from collections import Counter
from pathlib import Path
from typing import Final

import attrs

from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from tests.harness.daemon import Daemon
from tests.harness.processes import processes

from .journal import Journal

EVERY: Final = 2.0
"""Seconds between two looks."""


@attrs.frozen
class Gauge:
    """The daemon at one moment.

    Attributes:
        at: Seconds since the soak began.
        pid: Of its process.
        memory: Resident memory, MiB.
        probes: Identifiers of its probe processes.
    """

    at: float
    pid: int
    memory: float
    threads: int
    descriptors: int
    probes: frozenset[int]


class Gauges:
    """A thread that looks until it is stopped."""

    def __init__(self, daemon: Daemon, journal: Journal) -> None:
        """Take a daemon, which may be restarted meanwhile."""
        self._daemon = daemon
        self._journal = journal
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking)
        self.series: list[Gauge] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self._thread.join()

    def _keep_looking(self) -> None:
        while not self._stopped.wait(EVERY):
            try:
                self.series.append(look(self._daemon, self._journal.now()))
            except (OSError, RuntimeError):  # it is being restarted
                continue


def look(daemon: Daemon, at: float) -> Gauge:
    """Look at a daemon that runs.

    Args:
        at: The time to note, seconds since the soak began.

    Raises:
        OSError: It has ended.
        RuntimeError: The same.
    """
    pid = daemon.pid
    status = Path(f"/proc/{pid}/status").read_text()

    def figure(name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
        if found is None:
            raise ProcessLookupError(f"process {pid} is ending")
        return int(found[1])

    descriptors = sum(descriptors_of(pid).values())
    return Gauge(
        at, pid, figure("VmRSS") / 1024, figure("Threads"), descriptors, frozenset(probes(pid))
    )


def descriptors_of(pid: int) -> Counter[str]:
    """Tell what a process has open, and how often; sockets and pipes without their numbers."""
    found: Counter[str] = Counter()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[re.sub(r":\[\d+\]", "", str(descriptor.readlink()))] += 1
        except OSError:  # it was closed meanwhile
            continue
    return found


def probes(pid: int) -> list[int]:
    """Tell the probe processes of a daemon."""
    return [each for each, line in processes() if WORKER_MODULE in line and parent(each) == pid]


def parent(pid: int) -> int:
    """Tell the parent of a process; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
