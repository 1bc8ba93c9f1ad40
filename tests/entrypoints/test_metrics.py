"""Metrics and health of a daemon as a process of its own."""

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from cvmfs_snapshotter.domain.errors import AlreadyExistsError, UnavailableError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from tests.contract.wire import WireSnapshotter
from tests.harness.daemon import Daemon
from tests.harness.layers import Layer, file, layer
from tests.harness.repository import Repository
from tests.rpc.overseen import Overseen

HELLO = layer(file("hello", "hello\n"))
OTHER = layer(file("other", "other\n"))
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Unix(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30.0)
        self._path = path

    def connect(self) -> None:
        """Connect to it."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30.0)
        self.sock.connect(str(self._path))


class Watched:
    """A daemon whose metrics can be asked for."""

    def __init__(self, base: Path, address: str = "") -> None:
        self.repository = Repository.make(base / "source")
        self.socket = base / "m" / "s"
        more = f'[metrics]\naddress = "{address or f"unix:{self.socket}"}"\n'
        self.daemon = Daemon.make(base / "d", self.repository.path, more=more)

    def ask(self, path: str) -> tuple[int, str]:
        """Give status and body of a page."""
        with closing(Unix(self.socket)) as connection:
            connection.request("GET", path, headers={"Accept": OPENMETRICS})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def families(self) -> dict[str, Metric]:
        """Give all metrics; they have to be OpenMetrics without an error."""
        status, text = self.ask("/metrics")
        assert 200 == status
        return {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]

    def value(self, name: str, **labels: str) -> float:
        """Give the sum of the samples of one name that have these labels."""
        return sum(
            sample.value
            for family in self.families().values()
            for sample in family.samples
            if sample.name == f"cvmfs_snapshotter_{name}"
            and labels.items() <= sample.labels.items()
        )

    def use(self) -> None:
        """Ask for a layer that is there, one that is not, and for one above that."""
        self.repository.publish(HELLO)
        with closing(WireSnapshotter(self.daemon.socket)) as client:
            with pytest.raises(AlreadyExistsError):
                client.prepare("hit", "", _ask(HELLO))
            client.prepare("miss", "", _ask(OTHER))
            client.commit("below", "miss", {}, "")
            with pytest.raises(AlreadyExistsError):
                client.prepare("above", "below", _ask(HELLO))
            client.prepare("local", "", {})
            client.remove("local")


def _ask(wanted: Layer) -> dict[str, str]:
    """Give the labels that ask for a layer."""
    return {TARGET: wanted.diff_id, LAYER_DIGEST: wanted.digest}


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a directory with a short path."""
    with tempfile.TemporaryDirectory(prefix="cvm-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def watched(base: Path) -> Iterator[Watched]:
    """Give a daemon that runs."""
    made = Watched(base)
    made.daemon.start()
    yield made
    made.daemon.stop()


def test_what_happened_is_counted(watched: Watched) -> None:
    """A hit, a miss, a hit above it, calls, snapshots and tombstones show, with their time."""
    watched.use()

    assert 2 == watched.value("decisions_total", outcome="hit", source="tests")
    assert 1 == watched.value("decisions_total", outcome="miss", reason="absent", source="tests")
    assert 3 == watched.value("decisions_total")
    assert 1 == watched.value("hits_above_local_total", source="tests")
    expected = 2 * len(HELLO.archive)
    assert expected == watched.value("hit_uncompressed_bytes_total", source="tests")
    assert 2 == watched.value("rpcs_total", method="Prepare", code="ALREADY_EXISTS")
    assert 2 == watched.value("rpcs_total", method="Prepare", code="OK")
    assert 4 == watched.value("rpc_duration_seconds_count", method="Prepare")
    assert 3 <= watched.value("probe_duration_seconds_count", source="tests", operation="look")
    assert 0 < watched.value("database_duration_seconds_sum", operation="write")
    assert 2 == watched.value("snapshots", kind="committed", origin="remote", source="tests")
    assert 1 == watched.value("snapshots", kind="committed", origin="local", source="")
    assert 0 == watched.value("snapshots", kind="active")
    assert 1 == watched.value("tombstones")
    with closing(WireSnapshotter(watched.daemon.socket)) as client:
        client.cleanup()
    assert 0 == watched.value("tombstones")
    assert 1 == watched.value("cleanup_deleted_total", kind="snapshot")
    assert 1 == watched.value("cleanup_duration_seconds_count")


def test_the_state_shows(watched: Watched) -> None:
    """Sources, probes, database, build and process are told without anything having happened."""
    assert 1 == watched.value("source_up", source="tests")
    assert 1 == watched.value("circuit_state", source="tests", state="closed")
    assert 0 == watched.value("circuit_state", source="tests", state="open")
    assert 0 == watched.value("probes_stuck")
    assert 1 == watched.value("records_readable")
    assert 4096 <= watched.value("database_size_bytes", file="database")
    assert 1 == watched.value("build_info")
    assert 0 < watched.families()["process_resident_memory_bytes"].samples[0].value


def test_no_label_grows(watched: Watched) -> None:
    """Whatever is pulled, the number of samples stays what it is."""
    watched.use()
    before = sum(len(family.samples) for family in watched.families().values())
    with closing(WireSnapshotter(watched.daemon.socket)) as client:
        for number in range(5):
            other = layer(file(f"file-{number}", "content"))
            client.prepare(f"key {number}", "", _ask(other))

    assert before == sum(len(family.samples) for family in watched.families().values())
    assert 6 == watched.value("decisions_total", reason="absent")


def test_readiness(watched: Watched) -> None:
    """A daemon that serves says so, and so does one without its source."""
    assert (200, "ok\n") == watched.ask("/readyz")
    watched.repository.path.rename(watched.repository.path.parent / "away")
    with closing(WireSnapshotter(watched.daemon.socket)) as client:
        for key in "ab":
            client.prepare(key, "", _ask(HELLO))

    status, body = watched.ask("/readyz?verbose")
    expected = {"status": "ok", "serving": True, "records": True, "sources": {"tests": False}}
    assert (200, expected) == (status, json.loads(body))
    assert (200, "ok\n") == watched.ask("/healthz")
    assert 0 == watched.value("source_up", source="tests")
    assert 1 == watched.value("circuit_openings_total", source="tests", reason="not-mounted")


def test_the_end(watched: Watched) -> None:
    """A client that says nothing does not hold the end up, and nothing is left of the socket."""
    with closing(socket.socket(socket.AF_UNIX)) as silent:
        silent.connect(str(watched.socket))
        assert 0 == watched.daemon.terminate()

    assert not watched.socket.exists()
    assert [] == [line for line in watched.daemon.lines() if line["level"] == "error"]


def test_address_in_use(base: Path) -> None:
    """Somebody else on the address of the metrics is no reason not to serve containerd."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        watched = Watched(base, f"127.0.0.1:{other.getsockname()[1]}")
        watched.daemon.start()
        try:
            assert set() == watched.daemon.snapshots()
        finally:
            watched.daemon.stop()
    (line,) = [line for line in watched.daemon.lines() if line["level"] == "error"]
    assert "metrics cannot be served on 127.0.0.1" in str(line["msg"])
    assert "Address already in use" == line["cause"]


def test_a_socket_that_cannot_be_had(base: Path) -> None:
    """A socket of the metrics that others hold is no reason not to serve containerd either."""
    watched = Watched(base)
    watched.socket.parent.mkdir(mode=0o700)
    watched.socket.write_text("precious")
    watched.daemon.start()
    try:
        assert set() == watched.daemon.snapshots()
    finally:
        watched.daemon.stop()

    (line,) = [line for line in watched.daemon.lines() if line["level"] == "error"]
    assert f"metrics cannot be served on unix:{watched.socket}" == line["msg"]
    assert "is not a socket; it is left alone" in str(line["cause"])
    assert "precious" == watched.socket.read_text()


def test_exposed(base: Path) -> None:
    """That other machines can read the metrics is said."""
    with closing(socket.create_server(("0.0.0.0", 0))) as other:  # noqa: S104 - that is the test
        port = other.getsockname()[1]
    watched = Watched(base, f"0.0.0.0:{port}")
    watched.daemon.start()
    watched.daemon.stop()

    warnings = [line for line in watched.daemon.lines() if line["level"] == "warning"]
    assert any("metrics can be read from other machines" in str(line["msg"]) for line in warnings)


def test_the_address_of_the_daemon(base: Path) -> None:
    """Metrics on the socket of the snapshotter itself are refused, and nothing is left."""
    watched = Watched(base, f"unix:{base}/d/daemon.sock")
    with pytest.raises(RuntimeError, match=r"daemon\.sock"):
        watched.daemon.start()

    assert not watched.daemon.root.exists()


def test_off(base: Path) -> None:
    """Without metrics nothing of them is even imported."""
    program = (
        "import sys, cvmfs_snapshotter.entrypoints.daemon\n"
        "sys.exit('prometheus_client' in sys.modules)"
    )

    assert 0 == subprocess.run([sys.executable, "-c", program], check=False).returncode


def test_records_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics that need the records are left out when these cannot be read; others are there."""
    overseen = Overseen()

    def fail(_: object) -> None:
        raise UnavailableError("locked")

    monkeypatch.setattr(overseen.store, "read", fail)
    assert overseen.overseer.census() is None
    assert ("unpacked", "nfs") == overseen.overseer.sources
    assert overseen.overseer.source("nfs").standing.circuit.refuses is False
