"""What a daemon does about signals other than those that end it."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from tests.contract.wire import WireSnapshotter
from tests.harness.daemon import SOURCE, Daemon
from tests.harness.layers import directory, file, layer
from tests.harness.manager import Manager
from tests.harness.processes import processes, wait_until
from tests.harness.repository import Repository

LAYER = layer(directory("a"), file("a/.wh.b", ""))


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a directory with a short path, because sockets are made in it."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@pytest.fixture
def manager(base: Path) -> Iterator[Manager]:
    """Give a service manager that listens."""
    with closing(Manager.make(base / "n")) as made:
        yield made


@pytest.fixture
def daemon(base: Path, manager: Manager) -> Iterator[Daemon]:
    """Give a daemon that runs, with the level of its log in its file alone."""
    source = Repository.make(base / "source")
    source.publish(LAYER)
    made = Daemon.make(base / "d", source.path)
    command = list(made._program.command)
    made._program.command = command[: command.index("--log-level")]
    made._program.environment = {
        **made._program.environment,
        "NOTIFY_SOCKET": manager.address,
    }
    _write(made)
    yield made.start()
    made.stop()


def _write(daemon: Daemon, above: str = "", of_source: str = "") -> None:
    source = SOURCE.format(name="tests", kind="directory", path=daemon.directory.parent / "source")
    (daemon.directory / "config.toml").write_text(f"{above}\n{source}{of_source}\n")


def _lines(daemon: Daemon, message: str) -> list[dict[str, object]]:
    return [line for line in daemon.lines() if line["msg"] == message]


def _send(daemon: Daemon, number: signal.Signals, message: str) -> None:
    """Send a signal and wait for one more line of that message."""
    before = len(_lines(daemon, message))
    os.kill(daemon.pid, number)
    wait_until(message, lambda: len(_lines(daemon, message)) > before)


def _wait_for_a_reload(manager: Manager) -> None:
    """Wait until the manager has heard of the begin and the end of a reload."""
    begin = "RELOADING=1\nMONOTONIC_USEC="
    wait_until("the begin", lambda: manager.next().startswith(begin))
    wait_until("the end", lambda: "READY=1" == manager.next())


def _wanted() -> dict[str, str]:
    return {TARGET: LAYER.diff_id, LAYER_DIGEST: LAYER.digest}


def test_a_reload(daemon: Daemon, manager: Manager) -> None:
    """After SIGHUP the daemon decides by the new policies, and the service manager knows."""
    with closing(WireSnapshotter(daemon.socket)) as client:
        with pytest.raises(AlreadyExistsError):
            client.prepare("a", "", _wanted())
        manager.waiting()
        _write(daemon, of_source='whiteouts = "refuse"')
        _send(daemon, signal.SIGHUP, "configuration reloaded")
        _wait_for_a_reload(manager)
        (snapshot,) = [s.name for batch in client.list([]) for s in batch]
        client.remove(snapshot)
        client.prepare("a", "", _wanted())

    # Its last lines may be written after the answers.
    assert 0 == daemon.terminate()
    assert [("hit", "hit"), ("miss", "whiteouts")] == [
        (decision.outcome, decision.reason) for decision in daemon.decisions()
    ]


def test_a_bad_file(daemon: Daemon, manager: Manager) -> None:
    """A file that cannot be meant leaves the daemon as it is, and the manager does not wait."""
    manager.waiting()
    _write(daemon, of_source="whiteouts = 5")
    _send(daemon, signal.SIGHUP, "configuration not reloaded; everything stays as it is")

    _wait_for_a_reload(manager)
    with closing(WireSnapshotter(daemon.socket)) as client, pytest.raises(AlreadyExistsError):
        client.prepare("a", "", _wanted())


def test_the_level_of_the_log(daemon: Daemon) -> None:
    """Debug lines come and go, by the file and by a signal of their own."""
    with closing(WireSnapshotter(daemon.socket)) as client:

        def calls() -> int:
            client.cleanup()
            client.cleanup()
            return len(_lines(daemon, "call"))

        assert 0 == calls()
        _write(daemon, 'log_level = "debug"')
        _send(daemon, signal.SIGHUP, "configuration reloaded")
        wait_until("calls are logged", calls)
        _write(daemon)
        _send(daemon, signal.SIGHUP, "configuration reloaded")
        known = len(_lines(daemon, "call"))
        _send(daemon, signal.SIGUSR2, "log level changed")
        wait_until("calls are logged", lambda: calls() > known)
        _send(daemon, signal.SIGUSR2, "log level changed")

    assert [("info", "debug"), ("debug", "info")] * 2 == [
        (line["before"], line["after"]) for line in _lines(daemon, "log level changed")
    ]


def test_stacks(daemon: Daemon) -> None:
    """SIGUSR1 leaves the stack of each thread on standard error, and the daemon goes on."""
    os.kill(daemon.pid, signal.SIGUSR1)
    wait_until("the stacks", lambda: "Current thread" in daemon._program.log.read_text())

    with closing(WireSnapshotter(daemon.socket)) as client:
        client.prepare("a-b", "", {})
    assert 0 == daemon.terminate()


def test_signals_to_every_process(daemon: Daemon) -> None:
    """`systemctl kill` reaches the probe processes too, which do not end by what it sends."""

    def workers() -> list[int]:
        return [
            pid
            for pid, command in processes()
            if WORKER_MODULE in command and _is_child(pid, daemon.pid)
        ]

    wait_until("the source", lambda: _lines(daemon, "source held"))
    before = workers()
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        for pid in before:
            os.kill(pid, number)
    with closing(WireSnapshotter(daemon.socket)) as client, pytest.raises(AlreadyExistsError):
        client.prepare("a", "", _wanted())

    assert before
    assert set(before) <= set(workers())


def _is_child(pid: int, parent: int) -> bool:
    try:
        return f"PPid:\t{parent}\n" in Path(f"/proc/{pid}/status").read_text()
    except OSError:  # of another daemon, and gone meanwhile
        return False


def test_signals_before_it_stops(daemon: Daemon) -> None:
    """A SIGTERM among many others is heard."""
    for _ in range(50):
        os.kill(daemon.pid, signal.SIGHUP)
        os.kill(daemon.pid, signal.SIGUSR2)

    assert 0 == daemon.terminate()
