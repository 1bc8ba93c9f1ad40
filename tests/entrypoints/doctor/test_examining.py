"""All checks together, and the command."""

import json
import os
from pathlib import Path

import pytest

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.config import load_config
from cvmfs_snapshotter.entrypoints.doctor import examining
from cvmfs_snapshotter.entrypoints.doctor.daemon import check_answer
from cvmfs_snapshotter.entrypoints.doctor.examining import Patient, examine
from cvmfs_snapshotter.entrypoints.doctor.result import Outcome, Result, failure, passed, warning
from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2

ROOT = "/var/lib/s"


def status(**circuit: object) -> admin_pb2.StatusResponse:
    """Give the status of a daemon with one source."""
    made = admin_pb2.Circuit(state=admin_pb2.Circuit.STATE_CLOSED)
    made.MergeFrom(admin_pb2.Circuit(**circuit))  # type: ignore[arg-type]
    source = admin_pb2.Source(name="s", path="/cvmfs/s", circuit=made)
    return admin_pb2.StatusResponse(version=__version__, root=ROOT, sources=[source])


def judged(answer: admin_pb2.StatusResponse | str) -> list[tuple[str, Outcome]]:
    """Judge a daemon's answer."""
    return [(result.name, result.outcome) for result in check_answer(answer, ROOT)]


def test_the_daemon() -> None:
    """It does not answer, is another one, has stuck probes, or is well."""
    view = ("daemon's view of s", Outcome.PASS)
    assert [("daemon", Outcome.FAIL)] == judged("no daemon answers")
    assert [("daemon", Outcome.PASS), view] == judged(status())
    for change in ({"root": "/other"}, {"version": "0.0.0"}):
        answer = status()
        answer.MergeFrom(admin_pb2.StatusResponse(**change))  # type: ignore[arg-type]
        assert [("daemon", Outcome.WARN), view] == judged(answer)
        assert all(r.mend for r in check_answer(answer, ROOT) if r.name == "daemon")
    answer = status()
    answer.stuck_probes = 2
    assert ("probes", Outcome.WARN) in judged(answer)


def test_its_sources() -> None:
    """An open circuit fails, a failure that has not opened it warns."""
    name = "daemon's view of s"
    assert (name, Outcome.FAIL) in judged(status(state=admin_pb2.Circuit.STATE_OPEN))
    assert (name, Outcome.FAIL) in judged(status(state=admin_pb2.Circuit.STATE_TRYING))
    assert (name, Outcome.WARN) in judged(status(failures=1))


@pytest.mark.parametrize(
    ("kind", "reason", "command"),
    [
        ("cvmfs", "disconnected", "umount -l '/cvmfs/a b'"),
        ("cvmfs", "not-mounted", "mount -t cvmfs r.example.org '/cvmfs/a b'"),
        ("cvmfs", "of the future", "cvmfs_config probe r.example.org"),
        ("directory", "io-error", "ls -ld '/cvmfs/a b'/.layers"),
        ("of the future", "io-error", "findmnt --target '/cvmfs/a b'"),
    ],
)
def test_a_source_that_the_daemon_does_not_ask(kind: str, reason: str, command: str) -> None:
    """The commands are those for its fault, as if the source had been looked at here."""
    for circuit in ({"state": admin_pb2.Circuit.STATE_OPEN}, {"failures": 1}):
        answer = status(cause=admin_pb2.Error(reason=reason, detail="why"), **circuit)
        source = answer.sources[0]
        source.kind, source.repository, source.path = kind, "r.example.org", "/cvmfs/a b"
        found = [r for r in check_answer(answer, ROOT) if r.name == "daemon's view of s"]

        assert [True] == [command in result.mend for result in found]
        assert "asks again by itself" in found[0].advice[0]


def patient(base: Path) -> Patient:
    """Give a node without a daemon, whose containerd is this process."""
    config = base / "config.toml"
    config.write_text(f'[[source]]\nname = "s"\nkind = "directory"\npath = "{base}"\n')
    return Patient(
        str(base / "root"),
        str(base / "s.sock"),
        load_config(str(config)),
        str(base),
        "cvmfs-snapshotter",
        "linux/amd64",
        str(os.getpid()),
        "no daemon answers",
    )


def test_every_check_is_made(tmp_path: Path) -> None:
    """From the kernel to containerd, whatever fails on the way."""
    pool = ProbePool(worker_command(WORKER_MODULE))
    try:
        found = [result.name for result in examine(patient(tmp_path), pool)]
    finally:
        pool.close()
    expected = ["overlay", "clock", "state-directory", "source s", "expiry s", "owners s"]
    expected += ["daemon", "containerd", "containerd-config", "containerd's view of s"]
    assert [*expected, "pause-image"] == found


def test_a_check_that_fails_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It warns, and the others are made all the same."""

    def fails(*_: object) -> Result:
        raise ZeroDivisionError("0")

    monkeypatch.setattr(examining, "check_clock", fails)
    monkeypatch.setattr(examining, "check_running", fails)
    pool = ProbePool(worker_command(WORKER_MODULE))
    try:
        found = {result.name: result for result in examine(patient(tmp_path), pool)}
    finally:
        pool.close()
    for name in ("clock", "containerd"):
        assert Outcome.WARN == found[name].outcome
        assert "this check itself failed: ZeroDivisionError: 0" == found[name].what
    assert "pause-image" in found


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([passed("a", "well")], 0),
        ([passed("a", "well"), warning("b", "so", "do this")], 3),
        ([warning("b", "so", "do this", advice=("think of that",))], 3),
        ([failure("c", "bad", "do that"), warning("b", "so")], 1),
    ],
)
def test_the_command(
    results: list[Result],
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Its status says the worst; both forms say all."""
    monkeypatch.setattr(examining, "examine", lambda *_: iter(results))
    address = ("--address", str(tmp_path / "none"))
    assert expected == main(["doctor", *address])
    shown = capfd.readouterr().out
    for result in results:
        assert f"{result.outcome.value}  {result.name}: {result.what}\n" in shown
        assert all(f"          {line}\n" in shown for line in result.mend)
        assert all(f"          # {line}\n" in shown for line in result.advice)
    assert expected == main(["doctor", *address, "--json"])
    assert [
        {
            "name": r.name,
            "outcome": r.outcome.value,
            "what": r.what,
            "mend": list(r.mend),
            "advice": list(r.advice),
        }
        for r in results
    ] == json.loads(capfd.readouterr().out)["checks"]


def test_colours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal, unless somebody objects."""
    monkeypatch.setattr(examining, "examine", lambda *_: iter([passed("a", "well")]))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert 0 == main(["doctor"])
    assert "\x1b[32mpass\x1b[0m  a: well\n" == capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert 0 == main(["doctor"])
    assert "pass  a: well\n" == capsys.readouterr().out


def test_what_cannot_be_meant(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A configuration that is none, a process that is none, a user who is not root."""
    assert 2 == main(["doctor", "--config", "/none"])
    for pid in ("x", "0", "99999999"):
        with pytest.raises(SystemExit, match="2"):
            main(["doctor", "--containerd-pid", pid])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert 1 == main(["doctor"])
    assert "run this as root" in capfd.readouterr().err
