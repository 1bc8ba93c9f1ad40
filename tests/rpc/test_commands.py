"""The commands that ask the daemon: ``status`` and ``release``."""

import json
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.adapters.sqlite.migrate import REVISIONS
from cvmfs_snapshotter.domain.layer import Digest, Layer, Reason
from cvmfs_snapshotter.domain.ports.store import Transaction
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.disk import Disk
from cvmfs_snapshotter.entrypoints.rpc.admin import AdminServicer
from tests.contract.bench import in_memory

from .conftest import Serve
from .overseen import Overseen

LOCAL = Snapshot(
    identifier=1,
    name="a",
    parent_identifier=0,
    parent="",
    kind=Kind.ACTIVE,
    created_at=1,
    updated_at=1,
    labels={},
)


class Terminal:
    """Runs commands against a daemon in memory."""

    def __init__(self, serve: Serve, snapshotter: object, capture: Any) -> None:
        self.overseen = Overseen()
        services = [AdminServicer(self.overseen.overseer)]
        self.socket = serve(snapshotter, services=services).socket
        self._capture = capture

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; give its exit status and what it printed on both outputs."""
        command, *others = arguments
        status = main([command, "--address", str(self.socket), *others])
        printed = self._capture.readouterr()
        return status, printed.out, printed.err


@pytest.fixture
def terminal(serve: Serve, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """Give a terminal beside a daemon that is well."""
    with in_memory() as bench:
        return Terminal(serve, bench.snapshotter, capsys)


def record(terminal: Terminal) -> None:
    """Record a local snapshot, and a remote one of a source that is not configured any more."""
    remote = attrs.evolve(
        LOCAL, identifier=2, name="b", kind=Kind.COMMITTED, layer=Layer("old", Digest("a" * 64))
    )

    def run(transaction: Transaction) -> None:
        transaction.insert(LOCAL)
        transaction.insert(remote)

    terminal.overseen.store.write(run)


def test_status(terminal: Terminal) -> None:
    """People see version, sources, snapshots and probes in a few lines."""
    record(terminal)
    terminal.overseen.tended.tenders["unpacked"].work()
    status, out, err = terminal.run("status")
    lines = [line.split() for line in out.splitlines()]

    assert (0, "") == (status, err)
    assert out.startswith(f"cvmfs-snapshotter {__version__}, up ")
    assert ["unpacked", "up", "yes", "4711", "/cvmfs/unpacked.cern.ch"] in lines
    assert ["nfs", "up", "off", "-", "/nfs"] in lines
    assert ["SNAPSHOTS", "ACTIVE", "VIEW", "COMMITTED"] in lines
    assert ["(local)", "1", "0", "0"] in lines
    assert ["unpacked", "0", "0", "0"] in lines
    assert ["old", "0", "0", "1"] in lines
    assert "removed snapshots that wait for Cleanup: 0" in out
    assert "processes that look at sources: 0\n" in out
    assert out.endswith(
        f"records: schema {REVISIONS[-1]}, 163.8 kB\n"
        "disk of the state directory: 41.2 GB free of 100.0 GB\n"
    )


def test_status_of_an_unknown_disk(terminal: Terminal) -> None:
    """What the daemon could not measure is said to be unknown, and is null for scripts."""
    terminal.overseen.disk = Disk(None, None, None)
    told = json.loads(terminal.run("status", "--json")[1])

    assert {"records": None, "free": None, "total": None} == told["disk"]
    assert terminal.run("status")[1].endswith(
        f"records: schema {REVISIONS[-1]}, size unknown\ndisk of the state directory: unknown\n"
    )


def test_status_of_trouble(terminal: Terminal) -> None:
    """A source that is down shows why, since when and what comes, and the exit status tells."""
    terminal.overseen.fail("nfs")
    terminal.overseen.clock.advance(0.4)
    status, out, _ = terminal.run("status")

    assert 3 == status
    assert ["nfs", "down", "off", "-", "/nfs"] in [line.split() for line in out.splitlines()]
    assert (
        "nfs: slow: the source has a fault: slow; not asked for 0 s, tried 0 times, next try "
        "in 1 s\n"
    ) in out


def test_status_of_a_trial(terminal: Terminal) -> None:
    """While a source is tried that is said instead of a time."""
    terminal.overseen.fail("nfs")
    terminal.overseen.clock.advance(7200.0)
    terminal.overseen.breakers.begin_trial("nfs")

    assert "not asked for 2.0 h, tried 1 times, it is being tried\n" in terminal.run("status")[1]


def test_status_after_one_failure(terminal: Terminal) -> None:
    """One failure shows, and the source is up."""
    terminal.overseen.fail("nfs", 1)
    status, out, _ = terminal.run("status")

    assert 0 == status
    assert "the next failure opens its circuit" in out


def test_status_after_trouble(terminal: Terminal) -> None:
    """What is over is told as the last error."""
    terminal.overseen.fail("nfs", 1, Reason.STALE)
    del terminal.overseen.inner.faults["nfs"]
    terminal.overseen.tended.sources.look(Layer("nfs", Digest("a" * 64)), 1e9)
    status, out, _ = terminal.run("status")

    assert 0 == status
    assert "nfs: last error " in out
    assert " ago: stale: the source has a fault: stale\n" in out


def test_status_with_layers_at_fault(terminal: Terminal) -> None:
    """Layers that are at fault themselves are counted."""
    terminal.overseen.fail("nfs")
    terminal.overseen.clock.advance(1.0)
    breakers = terminal.overseen.breakers
    trial = breakers.begin_trial("nfs")
    assert trial is not None
    kept = breakers._kept["nfs"]
    kept.circuit = attrs.evolve(kept.circuit, suspects=(Digest("a" * 64),))

    assert "nfs: 1 layers are at fault themselves\n" in terminal.run("status")[1]


def test_stuck_processes(terminal: Terminal) -> None:
    """Processes that hang are counted and named."""
    terminal.overseen.tended.tenders["unpacked"].work()
    terminal.overseen.keeper.stuck = True
    terminal.overseen.tended.tenders["unpacked"].release()

    assert "processes that look at sources: 1, 1 of them stuck\n" in terminal.run("status")[1]


def test_json(terminal: Terminal) -> None:
    """Scripts get one object with everything, nulls for what is not known."""
    record(terminal)
    terminal.overseen.fail("nfs")
    status, out, err = terminal.run("status", "--json")
    told = json.loads(out)
    unpacked, nfs = told.pop("sources")
    error = {"reason": "slow", "detail": "the source has a fault: slow"}

    assert (3, "") == (status, err)
    assert {
        "version": __version__,
        "root": "/root",
        "started_at": "2023-11-14T22:13:20.123456789Z",
        "snapshots": [
            {"kind": "active", "source": None, "count": 1},
            {"kind": "committed", "source": "old", "count": 1},
        ],
        "tombstones": 0,
        "probes": 0,
        "stuck_probes": 0,
        "schema": REVISIONS[-1],
        "disk": {"records": 163_840, "free": 41_200_000_000, "total": 100_000_000_000},
    } == told
    assert {
        "name": "unpacked",
        "kind": "cvmfs",
        "repository": "unpacked.cern.ch",
        "path": "/cvmfs/unpacked.cern.ch",
        "host_path": "/host/unpacked",
        "up": True,
        "circuit": {
            "state": "closed",
            "age_seconds": 0.0,
            "cause": None,
            "failures": 0,
            "tries": 0,
            "next_try_seconds": None,
            "layers_at_fault": 0,
        },
        "last_error": None,
        "revision": None,
        "keep_mounted": True,
        "held": False,
    } == unpacked
    assert (None, False) == (nfs["repository"], nfs["up"])
    assert ("open", error, 2, 1.0) == (
        nfs["circuit"]["state"],
        nfs["circuit"]["cause"],
        nfs["circuit"]["failures"],
        nfs["circuit"]["next_try_seconds"],
    )
    assert {**error, "at": "2023-11-14T22:13:20Z"} == nfs["last_error"]


def test_release_and_hold(terminal: Terminal) -> None:
    """A source is released and held again by its name."""
    holder = terminal.overseen.tended.tenders["unpacked"].holder

    assert (0, "") == terminal.run("release", "unpacked")[::2]
    assert not holder.wanted
    assert (0, "") == terminal.run("release", "unpacked", "--hold")[::2]
    assert holder.wanted


def test_release_of_what_hangs(terminal: Terminal) -> None:
    """A source that stays in use is a failure with its reason."""
    terminal.overseen.tended.tenders["unpacked"].work()
    terminal.overseen.keeper.stuck = True
    status, out, err = terminal.run("release", "unpacked")

    assert (1, "") == (status, out)
    assert "hangs in the kernel" in err


@pytest.mark.parametrize("more", [[], ["--hold"]])
def test_unknown_source(terminal: Terminal, more: list[str]) -> None:
    """A source that is not configured is a failure that names those that are."""
    status, out, err = terminal.run("release", "gone", *more)

    assert (1, "") == (status, out)
    assert "cvmfs-snapshotter: source 'gone' is not configured; known: 'unpacked', 'nfs'\n" == err


@pytest.fixture
def directory() -> Iterator[Path]:
    """Give a directory whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("command", [["status"], ["release", "x"], ["release", "x", "--hold"]])
def test_no_daemon(
    directory: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a daemon the message says where it was looked for, and why nothing answers."""
    where = directory / "s"
    missing = main([*command, "--address", str(where)]), capsys.readouterr().err
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(where))
    refused = main([*command, "--address", str(where)]), capsys.readouterr().err
    long = main([*command, "--address", f"/{'x' * 200}"]), capsys.readouterr().err

    asks = "is it running, and is --address right?\n"
    begin = f"cvmfs-snapshotter: no daemon answers on {where}: "
    assert (1, f"{begin}No such file or directory; {asks}") == missing
    assert (1, f"{begin}Connection refused; {asks}") == refused
    assert 1 == long[0]
    assert "path is too long" in long[1]


def test_another_program(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """A socket of something else is told from a daemon that is not there."""
    with in_memory() as bench:
        served = serve(bench.snapshotter)
    status = main(["status", "--address", str(served.socket)])

    assert 1 == status
    assert "is another program, or an older release" in capsys.readouterr().err


def test_records_out_of_reach(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the daemon is shown with its code."""

    def fail(_: object) -> None:
        raise OSError("a defect")

    monkeypatch.setattr(terminal.overseen.store, "read", fail)
    status, out, err = terminal.run("status")

    assert (1, "") == (status, out)
    assert "answered INTERNAL" in err


def test_silent_daemon(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A daemon that accepts and says nothing is given up."""
    monkeypatch.setattr("cvmfs_snapshotter.entrypoints.cli.asking.SECONDS", 0.3)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(directory / "s"))
        silent.listen()
        status = main(["status", "--address", str(directory / "s")])

    assert 1 == status
    assert "did not answer within 0.3 s" in capsys.readouterr().err
