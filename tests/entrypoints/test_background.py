import threading
from collections.abc import Callable

import attrs
import pytest
import structlog
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger

from cvmfs_snapshotter.domain.events import DirectoryKept, Event, SnapshotCommitted
from cvmfs_snapshotter.domain.layer import Reason
from cvmfs_snapshotter.entrypoints import measuring
from cvmfs_snapshotter.entrypoints.fanout import FanOut, WakeOnCommit
from cvmfs_snapshotter.entrypoints.measuring import BATCH, Measurer
from tests.harness.processes import wait_until


@pytest.fixture
def log() -> LogCapture:
    """Give what takes the lines of ``logger``."""
    return LogCapture()


@pytest.fixture
def logger(log: LogCapture) -> FilteringBoundLogger:
    """Give a logger whose lines can be read."""
    made: FilteringBoundLogger = structlog.wrap_logger(
        None, processors=[log], wrapper_class=structlog.make_filtering_bound_logger("debug")
    )
    return made


@attrs.define
class _Work:
    """Has snapshots to measure, and may fail."""

    left: int = 0
    failures: int = 0
    calls: int = 0
    threads: set[str] = attrs.field(factory=set)

    def measure(self, limit: int) -> int:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        if self.failures:
            self.failures -= 1
            raise OSError("the disk has a fault")
        done = min(limit, self.left)
        self.left -= done
        return done


def test_what_an_earlier_process_left_is_measured(logger: FilteringBoundLogger) -> None:
    """The thread begins at once and goes on until nothing is left."""
    work = _Work(left=3 * BATCH)
    measurer = Measurer(work.measure, logger, 0.0)
    measurer.start()

    wait_until("all is measured", lambda: work.calls == 4)
    assert 0 == work.left
    assert {"measure"} == work.threads
    assert measurer.stop(5.0)


def test_a_commit_wakes_it(logger: FilteringBoundLogger) -> None:
    """Between commits it sleeps; each one makes it look again."""
    work = _Work()
    measurer = Measurer(work.measure, logger, 0.0)
    measurer.start()
    wait_until("the first look", lambda: work.calls == 1)
    work.left = 1
    WakeOnCommit(measurer.wake).record(SnapshotCommitted(7))

    wait_until("another look", lambda: work.left == 0)
    assert measurer.stop(5.0)


def test_commits_that_follow_one_another_are_measured_together(
    logger: FilteringBoundLogger,
) -> None:
    """It gathers for a while, so that each commit does not find it at work on the last one."""
    work = _Work()
    measurer = Measurer(work.measure, logger, 1.0)
    measurer.start()
    for _ in range(BATCH - 1):
        work.left += 1
        measurer.wake()

    assert 0 == work.calls
    wait_until("all are measured", lambda: work.left == 0)
    assert 1 == work.calls
    assert measurer.stop(5.0)


def test_stopping_does_not_wait_while_it_gathers(logger: FilteringBoundLogger) -> None:
    """The end of the daemon does not wait for commits that may come."""
    work = _Work(left=1)
    measurer = Measurer(work.measure, logger, 300.0)
    measurer.start()

    assert measurer.stop(5.0)
    assert 0 == work.calls


def test_a_failure_is_logged_and_tried_again(
    logger: FilteringBoundLogger, log: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread never dies: what could not be measured is tried again after a pause."""
    monkeypatch.setattr(measuring, "_FIRST_PAUSE", 0.01)
    work = _Work(left=1, failures=3)
    measurer = Measurer(work.measure, logger, 0.0)
    measurer.start()

    wait_until("it is measured", lambda: work.left == 0)
    assert ["snapshots could not be measured"] * 3 == [line["event"] for line in log.entries]
    assert measurer.stop(5.0)


def test_stopping_interrupts_a_pause(logger: FilteringBoundLogger) -> None:
    """The end of the daemon does not wait for the next try."""
    measurer = Measurer(_Work(failures=10_000).measure, logger, 0.0)
    measurer.start()

    assert measurer.stop(0.9)


def test_stopping_does_not_wait_for_a_long_walk(logger: FilteringBoundLogger) -> None:
    """A walk through a large tree is left behind, and what it says then is not logged."""
    leave = threading.Event()

    def walk(_: int) -> int:
        leave.wait(10.0)
        return 0

    measurer = Measurer(walk, logger, 0.0)
    measurer.start()

    assert not measurer.stop(0.05)
    leave.set()
    assert measurer.stop(5.0)


def test_stopping_before_the_start(logger: FilteringBoundLogger) -> None:
    """A start that failed half-way can be undone."""
    assert Measurer(lambda _: 0, logger).stop(0.1)


@attrs.define
class _Listener:
    heard: list[Event] = attrs.field(factory=list)

    def record(self, event: Event) -> None:
        self.heard.append(event)


def test_every_listener_hears_every_event() -> None:
    """Logs and whoever else listens hear the same, in order."""
    first, second = _Listener(), _Listener()
    events: list[Event] = [SnapshotCommitted(1), DirectoryKept(2, "busy"), SnapshotCommitted(3)]
    fan_out = FanOut((first, second))
    for event in events:
        fan_out.record(event)

    assert events == first.heard
    assert events == second.heard


@pytest.mark.parametrize(
    ("event", "calls"), [(SnapshotCommitted(1), 1), (DirectoryKept(1, Reason.HIT.value), 0)]
)
def test_only_commits_wake(event: Event, calls: int) -> None:
    """Other events are nothing to measure for."""
    woken: list[None] = []
    wake: Callable[[], None] = lambda: woken.append(None)  # noqa: E731 - has to be a callable
    WakeOnCommit(wake).record(event)

    assert calls == len(woken)
