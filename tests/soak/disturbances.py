"""What is done to the node while it is busy, one thing at a time."""

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from cvmfs_snapshotter.domain.errors import AlreadyExistsError, SnapshotterError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from tests.contract.wire import WireSnapshotter
from tests.harness.ctr import CtrError
from tests.harness.fuse.faults import Fault, fails, hangs, takes
from tests.harness.processes import WaitError, wait_until

from .images import all_samples, vanishing
from .journal import Journal
from .judging import Cause
from .stand import Stand

LASTS: Final = 6.0
"""Seconds that a fault of the source lasts."""

RECOVERY: Final = 90.0
"""Seconds within which the source has to be used again: the circuit's longest pause is 60."""

VANISHING: Final = frozenset({vanishing().image.name})

REMOTE: Final = frozenset(each.image.name for each in all_samples() if each.published)
"""Images that the source has anything of: no other may suffer when it is broken."""

_pause = threading.Event().wait


@attrs.frozen
class Disturbance:
    """Something to be done.

    Attributes:
        do: Does it, and returns when everything works again.
        restarts_daemon: Whether the daemon is another process afterwards.
        images: Names of the images that it concerns; empty for all.
    """

    name: str
    cause: Cause
    do: Callable[[Stand, Journal], None]
    restarts_daemon: bool = False
    images: frozenset[str] = frozenset()


def _kill_daemon(stand: Stand, journal: Journal) -> None:
    stand.daemon.kill()
    stand.daemon.start()
    _wait_connected(stand)


def _end_daemon(stand: Stand, journal: Journal) -> None:
    status = stand.daemon.terminate()
    if status != 0:
        journal.problem(f"the daemon ended with status {status}")
    _pause(1.0)
    stand.daemon.start()
    _wait_connected(stand)


def _kill_daemon_that_waits(stand: Stand, journal: Journal) -> None:
    """Kill the daemon while its probe processes hang, and start one while they still do."""
    with _broken(stand, journal, hangs()):
        stand.cvmfs.wait_hanging(1)
        stand.daemon.kill()
        stand.daemon.start()
    _wait_connected(stand)


def _kill_containerd(stand: Stand, journal: Journal) -> None:
    stand.containerd.kill()
    stand.containerd.start()


def _end_containerd(stand: Stand, journal: Journal) -> None:
    stand.containerd.terminate()
    stand.containerd.start()


def _break(*faults: Fault) -> Callable[[Stand, Journal], None]:
    def do(stand: Stand, journal: Journal) -> None:
        with _broken(stand, journal, *faults):
            pass

    return do


def _die(stand: Stand, journal: Journal) -> None:
    """Kill the file system's server; the mount point is dead, then empty, then mounted again."""
    stand.cvmfs.dies()
    _pause(LASTS)
    stand.cvmfs.unmount()
    _pause(1.0)
    stand.cvmfs.mount()
    _wait_used(stand, journal)


def _vanish(stand: Stand, journal: Journal) -> None:
    places = [stand.repository.directory_of(each) for each in vanishing().published]
    for place in places:
        place.rename(place.with_name(f"gone-{place.name}"))
    stand.cvmfs.forget()
    _pause(LASTS)
    for place in places:
        place.with_name(f"gone-{place.name}").rename(place)
    stand.cvmfs.forget()
    # The kernel has kept that the names are not there.
    _pause(stand.cvmfs.kept)
    _wait_used(stand, journal)


ALL: Final = (
    Disturbance("the daemon is killed", Cause.DAEMON, _kill_daemon, restarts_daemon=True),
    Disturbance("the daemon is ended", Cause.DAEMON, _end_daemon, restarts_daemon=True),
    Disturbance(
        "the daemon is killed while the source hangs",
        Cause.DAEMON,
        _kill_daemon_that_waits,
        restarts_daemon=True,
    ),
    Disturbance("containerd is killed", Cause.CONTAINERD, _kill_containerd),
    Disturbance("containerd is ended", Cause.CONTAINERD, _end_containerd),
    Disturbance("the source is slow", Cause.SOURCE, _break(takes(0.3)), images=REMOTE),
    Disturbance("the source fails", Cause.SOURCE, _break(fails(errno.EIO)), images=REMOTE),
    Disturbance("the source hangs", Cause.SOURCE, _break(hangs()), images=REMOTE),
    Disturbance("the source dies", Cause.DIED, _die, images=REMOTE),
    Disturbance("layers vanish", Cause.VANISHED, _vanish, images=VANISHING),
)


@contextmanager
def _broken(stand: Stand, journal: Journal, *faults: Fault) -> Iterator[None]:
    """Break the source for a while, heal it, and wait until it is used again."""
    with journal.trouble(Cause.SOURCE, "the source is broken", REMOTE):
        stand.cvmfs.breaks(*faults)
        _pause(LASTS)
        yield
        stand.cvmfs.heals()
        _wait_used(stand, journal)


def _wait_connected(stand: Stand) -> None:
    """Wait until containerd has found the daemon again, for which it lets some seconds pass."""

    def connected() -> bool:
        try:
            stand.containerd.ctr().snapshots(stand.containerd.snapshotter)
        except CtrError:
            return False
        return True

    wait_until("containerd has found the daemon", connected)


def _wait_used(stand: Stand, journal: Journal) -> None:
    """Wait until every layer that has none below is a hit."""
    client = WireSnapshotter(stand.daemon.socket)
    began = journal.now()
    try:
        for sample in all_samples():
            lowest = sample.image.layers[0]
            if lowest in sample.published:
                labels = {TARGET: lowest.diff_id, LAYER_DIGEST: lowest.digest}
                wait_until("a hit", lambda: _is_hit(client, labels), RECOVERY)  # noqa: B023 - called at once
    except WaitError:
        journal.problem(f"the source is not used {RECOVERY} s after it was healed")
    finally:
        client.close()
    journal.recovered(journal.now() - began)


def _is_hit(client: WireSnapshotter, labels: dict[str, str]) -> bool:
    try:
        client.prepare("is it used?", "", labels)
    except AlreadyExistsError:
        return True
    except SnapshotterError:
        return False
    client.remove("is it used?")
    _pause(0.5)
    return False
