"""Telling the service manager how the daemon is."""

import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger

from cvmfs_snapshotter.adapters.circuits import Standing
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.notify import Notifier
from cvmfs_snapshotter.domain.circuit import Circuit, State
from cvmfs_snapshotter.domain.errors import UnavailableError
from cvmfs_snapshotter.domain.ports.store import Census
from cvmfs_snapshotter.domain.snapshot import Kind
from cvmfs_snapshotter.entrypoints.disk import Disk
from cvmfs_snapshotter.entrypoints.overview import Overview, SourceOverview
from cvmfs_snapshotter.entrypoints.supervising import (
    STATUS_SECONDS,
    Supervisor,
    answers,
    status_line,
)
from tests.contract.wire import WireSnapshotter
from tests.harness.daemon import Daemon
from tests.harness.manager import Manager
from tests.harness.processes import kill_and_wait, processes, wait_until
from tests.harness.repository import Repository

UP = "1 source up, 0 snapshots"


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a directory with a short path, because sockets are made in it."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@pytest.fixture
def manager(base: Path) -> Iterator[Manager]:
    """Give a manager that listens."""
    with closing(Manager.make(base / "n")) as made:
        yield made


class Bench:
    """A supervisor with its manager; ``work`` is called by hand or by its thread."""

    def __init__(self, manager: Manager, watchdog: float | None = None) -> None:
        self.answering = True
        self.asked: list[float] = []
        self.fails: Exception | None = None
        self.log = LogCapture()
        logger: FilteringBoundLogger = structlog.wrap_logger(
            None, processors=[self.log], wrapper_class=structlog.make_filtering_bound_logger(10)
        )
        self.supervisor = Supervisor(
            Notifier(manager.address, watchdog), self._answers, self._status, logger
        )

    def _answers(self, seconds: float) -> bool:
        self.asked.append(seconds)
        return self.answering

    def _status(self) -> str:
        if self.fails:
            raise self.fails
        return UP

    def lines(self) -> list[tuple[str, str]]:
        """Give level and message of each line of the log."""
        return [(line["log_level"], line["event"]) for line in self.log.entries]


def test_a_sign_of_life(manager: Manager) -> None:
    """With a watchdog the daemon is asked each half of its time, and then a sign is sent."""
    bench = Bench(manager, 8.0)

    assert 4.0 == bench.supervisor.work()
    assert [2.0] == bench.asked
    assert ["WATCHDOG=1", f"STATUS={UP}"] == manager.waiting()
    bench.supervisor.work()
    assert ["WATCHDOG=1"] == manager.waiting()


def test_no_sign_of_a_daemon_that_hangs(manager: Manager) -> None:
    """A daemon that does not answer gives no sign and is soon asked again; the log tells."""
    bench = Bench(manager, 8.0)
    bench.answering = False

    assert 0.4 == bench.supervisor.work()
    assert [] == manager.waiting()
    ((level, message),) = bench.lines()
    assert ("error", True) == (level, message.startswith("the daemon does not answer itself"))
    bench.answering = True
    assert 4.0 == bench.supervisor.work()
    assert "WATCHDOG=1" == manager.waiting()[0]


def test_without_a_watchdog(manager: Manager) -> None:
    """Without a watchdog nothing is asked; the status is looked at now and then."""
    bench = Bench(manager)

    assert STATUS_SECONDS == bench.supervisor.work()
    assert [] == bench.asked
    assert [f"STATUS={UP}"] == manager.waiting()


def test_a_long_watchdog(manager: Manager) -> None:
    """However long the watchdog's time is, the status is looked at as often as without."""
    assert STATUS_SECONDS == Bench(manager, 3600.0).supervisor.work()


def test_unreadable_records(manager: Manager) -> None:
    """Records that cannot be read stand in the status, and are no reason to be ended."""
    bench = Bench(manager, 8.0)
    bench.fails = UnavailableError("the disk is gone")
    bench.supervisor.work()
    assert [
        "WATCHDOG=1",
        "STATUS=the records cannot be read: the disk is gone",
    ] == manager.waiting()


def test_a_defect_ends_nothing(manager: Manager) -> None:
    """After a defect the thread goes on, and signs of life come all the same."""
    bench = Bench(manager, 0.4)
    bench.fails = ValueError("of a test")
    bench.supervisor.start()
    try:
        assert ["READY=1", "WATCHDOG=1", "WATCHDOG=1"] == [manager.next() for _ in range(3)]
        bench.fails = None
        wait_until("the status", lambda: f"STATUS={UP}" == manager.next())
    finally:
        bench.supervisor.stop(10.0)
    assert ("error", "the daemon could not be looked after") in bench.lines()


def test_stopping(manager: Manager) -> None:
    """That the daemon stops is said at once, and nothing else after it, also by a slow look."""
    bench = Bench(manager, 0.4)
    begun, go_on = threading.Event(), threading.Event()

    def answering(_: float) -> bool:
        begun.set()
        return go_on.wait(30.0)

    bench.supervisor._answering = answering
    bench.supervisor.start()
    assert begun.wait(30.0)
    bench.supervisor.stop(0.0)
    go_on.set()
    bench.supervisor._thread.join(30.0)

    assert ["READY=1", "STOPPING=1\nSTATUS=stopping: calls in flight finish"] == manager.waiting()
    assert [] == bench.lines()


def test_a_reload(manager: Manager) -> None:
    """A reload begins with the time, as systemd wants it, and ends with READY."""
    bench = Bench(manager)
    bench.supervisor.reloading()
    bench.supervisor.reloaded()

    begin, end = manager.waiting()
    first, second = begin.splitlines()
    assert ("RELOADING=1", "READY=1") == (first, end)
    assert second.removeprefix("MONOTONIC_USEC=").isdigit()


def test_a_manager_that_is_gone(manager: Manager) -> None:
    """A manager that cannot be reached is told of once, and told again when it is back."""
    bench = Bench(manager, 8.0)
    Path(manager.address).unlink()
    for _ in range(3):
        bench.supervisor.work()
    assert [("warning", "the service manager cannot be told anything")] == bench.lines()

    with closing(Manager.make(Path(manager.address))) as back:
        bench.supervisor.work()
        assert ["WATCHDOG=1", f"STATUS={UP}"] == back.waiting()


def test_without_a_manager() -> None:
    """Where no manager listens there is no thread."""
    supervisor = Supervisor(Notifier(), lambda _: True, lambda: UP, structlog.get_logger())
    supervisor.start()

    assert supervisor._thread.ident is None
    supervisor.stop(0.0)


def _overview(snapshots: int, *states: State) -> Overview:
    """Make an overview with a source in each of these states."""
    sources = tuple(
        SourceOverview(
            settings=SourceSettings(f"s{number}", SourceKind.DIRECTORY, "", "/s"),
            standing=Standing(Circuit(0.0, state), 0.0, None, None, 0),
            revision=None,
            keep_mounted=True,
            held=True,
        )
        for number, state in enumerate(states)
    )
    census = Census({(Kind.ACTIVE, ""): snapshots - 1, (Kind.VIEW, ""): 1}, 0)
    return Overview("1", "/r", 0, sources, census, 1, 0, "0001", Disk(1, 1, 1))


@pytest.mark.parametrize(
    ("overview", "expected"),
    [
        (_overview(214, State.CLOSED, State.CLOSED), "2 sources up, 214 snapshots"),
        (_overview(1, State.CLOSED), "1 source up, 1 snapshot"),
        (_overview(7, State.CLOSED, State.OPEN), "1 of 2 sources up (s1 down), 7 snapshots"),
        (_overview(7), "0 sources up, 7 snapshots"),
    ],
)
def test_status_line(overview: Overview, expected: str) -> None:
    """The status says in a few words what works, and what does not by its name."""
    assert expected == status_line(overview)


def test_nobody_answers(base: Path) -> None:
    """Neither a missing socket answers, nor one on which nobody takes connections."""
    address = base / "s"
    assert not answers(str(address), 5.0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(address))
        listening.listen()
        assert not answers(str(address), 0.3)


@pytest.fixture
def daemon(base: Path, manager: Manager) -> Iterator[Daemon]:
    """Give a daemon that has a watchdog of two seconds."""
    source = Repository.make(base / "source")
    made = Daemon.make(base / "d", source.path)
    made._program.environment = {
        **made._program.environment,
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": "2000000",
    }
    yield made
    made.stop()


def test_a_daemon_under_a_manager(daemon: Daemon, manager: Manager) -> None:
    """A real daemon is ready once it answers, gives signs of life, and says that it stops."""
    daemon.start()
    assert "READY=1" == manager.next()
    assert "WATCHDOG=1" == manager.next()
    assert f"STATUS={UP}" == manager.next()
    with closing(WireSnapshotter(daemon.socket)) as client:
        client.prepare("a", "", {})
    wait_until("the new status", lambda: "STATUS=1 source up, 1 snapshot" == manager.next())

    assert 0 == daemon.terminate()
    assert "STOPPING=1\nSTATUS=stopping: calls in flight finish" == manager.waiting()[-1]


def _workers(daemon: int) -> list[int]:
    """Give the processes of a daemon that look at sources."""
    return [
        pid
        for pid, command in processes()
        if WORKER_MODULE in command
        and f"PPid:\t{daemon}\n" in Path(f"/proc/{pid}/status").read_text()
    ]


def test_a_source_that_hangs(daemon: Daemon, manager: Manager) -> None:
    """Signs of life come also when every process hangs that looks at sources."""
    daemon.start()
    workers = wait_until("its workers", lambda: _workers(daemon.pid))
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        manager.waiting()
        for _ in range(3):
            wait_until("a sign of life", lambda: "WATCHDOG=1" == manager.next())
    finally:
        kill_and_wait(workers)


def test_a_daemon_that_cannot_be_reached(daemon: Daemon, manager: Manager) -> None:
    """A daemon whose socket was deleted serves nobody any more: it gives no sign of life."""
    daemon.start()
    wait_until("a sign of life", lambda: "WATCHDOG=1" == manager.next())
    daemon.socket.unlink()

    def complaints() -> list[object]:
        return [line for line in daemon.lines() if "not answer itself" in str(line["msg"])]

    wait_until("it is noticed", complaints)
    manager.waiting()
    known = len(complaints())
    wait_until("it is noticed again", lambda: len(complaints()) > known)
    assert [] == [message for message in manager.waiting() if "WATCHDOG" in message]


def test_what_the_watchdog_leaves(daemon: Daemon) -> None:
    """The signal of systemd's watchdog leaves the stack of each thread on standard error."""
    daemon.start()
    daemon._program.send(signal.SIGABRT)
    wait_until("its end", lambda: not daemon._program.running)

    text = daemon._program.log.read_text()
    assert "Fatal Python error: Aborted" in text
    assert "in wait" in text
