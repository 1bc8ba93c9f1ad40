"""A daemon on a file system that fails on command, asked as containerd asks it."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from tests.contract.wire import WireSnapshotter
from tests.harness.daemon import Daemon, Decision
from tests.harness.fuse.file_system import FileSystem
from tests.harness.layers import Layer, digest_of
from tests.harness.processes import processes, wait_until

DEADLINE = 2.0
"""Seconds that a look-up may take in these tests, unless one says otherwise."""

SLACK = 15.0
"""Seconds that a busy machine may take longer than the daemon promises."""

OPENED = "circuit opened: the source is not asked until a trial succeeds"
"""What the daemon logs once."""

CLOSED = "circuit closed: the source is asked again"
"""What it logs then."""

_numbers = itertools.count(1)


def seconds_of(call: Callable[[], object]) -> float:
    """Tell how long a call takes, whatever it raises of what the daemon answers."""
    started = time.monotonic()
    call()
    return time.monotonic() - started


@attrs.define
class Node:
    """The daemon, the file system that it looks at, and a client.

    Attributes:
        daemon: Its one source is the file system.
        cvmfs: The file system.
        client: Asks the daemon.
    """

    daemon: Daemon
    cvmfs: FileSystem
    client: WireSnapshotter

    def pull(self, layer: Layer, parent: str = "", below: str = "") -> Decision:
        """Prepare a layer as in a pull.

        Args:
            parent: Name of the snapshot below it.
            below: Chain ID of that one.

        Returns:
            What the daemon decided; it answered accordingly.
        """
        key = f"extract-{next(_numbers)}"
        target = digest_of(f"{below} {layer.diff_id}".encode()) if below else layer.diff_id
        labels = {TARGET: target, LAYER_DIGEST: layer.digest}
        prepared = False
        try:
            self.client.prepare(key, parent, labels)
        except AlreadyExistsError:
            prepared = True
        made = wait_until(
            f"a decision for {key}", lambda: [d for d in self.daemon.decisions() if d.key == key]
        )[0]
        assert prepared == (made.outcome == "hit")
        return made

    def provide(self, layer: Layer) -> str:
        """Pull a layer of a healthy file system; tell the name of its snapshot."""
        self.wait_until_looked_at()
        self.wait_for_hits(layer)
        (found,) = self.client.list([f'labels."{TARGET}"=={layer.diff_id},parent==""'])
        return found[0].name

    def lines(self, message: str) -> list[dict[str, object]]:
        """Give the lines of one message in the daemon's log."""
        return [line for line in self.daemon.lines() if line.get("msg") == message]

    def wait_for(self, message: str, seconds: float = 60.0) -> dict[str, object]:
        """Wait for a line in the daemon's log and give it."""
        return wait_until(message, lambda: self.lines(message), seconds)[0]

    def wait_until_looked_at(self, sources: int = 1) -> None:
        """Wait until the daemon has done its own look-ups at start, which would fail too."""

        def look() -> bool:
            there, held = self.lines("source is there"), self.lines("source held")
            return len(there) >= sources and len(held) >= sources

        wait_until("all sources were looked at", look, 60.0)

    def wait_for_hits(self, layer: Layer, seconds: float = 60.0) -> None:
        """Wait until a layer is a hit.

        Raises:
            WaitError: It is not.
        """
        wait_until("a hit", lambda: self.pull(layer).outcome == "hit", seconds)

    def restart(self) -> float:
        """Start the daemon once more; tell the seconds until it answers."""
        return seconds_of(self.daemon.start)


def workers() -> dict[int, str]:
    """Tell the probe processes of all daemons, and the state of each (proc(5))."""
    found = {}
    for pid, command in processes():
        if WORKER_MODULE in command:
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            found[pid] = stat.rpartition(")")[2].split()[0]
    return found


@contextmanager
def node_on(
    cvmfs: FileSystem, *, deadline: float = DEADLINE, start: bool = True, more: str = ""
) -> Iterator[Node]:
    """Give a daemon for the time of the block.

    Args:
        cvmfs: Its source, mounted or not.
        deadline: Seconds that a look-up may take.
        start: Whether to start it.
        more: Further lines of the source's configuration.
    """
    directory = cvmfs.point.parent / f"d{next(_numbers)}"
    lines = f'repository = "{cvmfs.repository}"\nlookup_deadline = {deadline}\n{more}'
    daemon = Daemon.make(directory, cvmfs.point, "cvmfs", lines)
    client = WireSnapshotter(daemon.socket)
    try:
        if start:
            daemon.start()
        yield Node(daemon, cvmfs, client)
    finally:
        client.close()
        daemon.stop()
