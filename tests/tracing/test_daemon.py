"""Traces of a daemon as a process of its own."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import grpc
import pytest

from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from cvmfs_snapshotter.entrypoints.config import default_config
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2
from tests.contract.wire import WireSnapshotter
from tests.harness.collector import Collector, Got
from tests.harness.daemon import PROGRAM, Daemon
from tests.harness.layers import file, layer
from tests.harness.repository import Repository

HELLO = layer(file("hello", "hello\n"))
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVICE = "containerd.services.snapshots.v1.Snapshots"


class Traced:
    """A daemon that sends its spans somewhere."""

    def __init__(self, base: Path, endpoint: str, more: str = "") -> None:
        self.repository = Repository.make(base / "source")
        self.repository.publish(HELLO)
        tracing = f'[tracing]\nendpoint = "{endpoint}"\n{more}'
        self.daemon = Daemon.make(base / "d", self.repository.path, more=tracing)

    def ask(self, key: str, flags: str = "") -> None:
        """Ask for the layer, within a trace if there are flags for that."""
        metadata = (("traceparent", f"00-{TRACE}-{PARENT}-{flags}"),) if flags else ()
        request = snapshots_pb2.PrepareSnapshotRequest(
            key=key, labels={TARGET: HELLO.diff_id, LAYER_DIGEST: HELLO.digest}
        )
        asked = closing(WireSnapshotter(self.daemon.socket))
        with asked as client, pytest.raises(grpc.RpcError) as raised:
            client.stub.Prepare(request, timeout=30.0, metadata=metadata)
        assert grpc.StatusCode.ALREADY_EXISTS is raised.value.code()

    def lines(self, text: str) -> list[dict[str, object]]:
        """Give the lines of the log with this in their message."""
        return [line for line in self.daemon.lines() if text in str(line["msg"])]


def _prepares(spans: list[Got]) -> list[Got]:
    """Give the spans of the calls that ask for a layer."""
    return [span for span in spans if span.name == f"{SERVICE}/Prepare"]


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a directory with a short path."""
    with tempfile.TemporaryDirectory(prefix="cvm-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Give a collector that listens."""
    with Collector().running() as made:
        yield made


def test_a_trace(base: Path, collector: Collector) -> None:
    """A call is in containerd's trace, and all that it does is in the call, with the decision."""
    traced = Traced(base, collector.endpoint)
    traced.daemon.start()
    try:
        traced.ask("hit", "01")
        spans = collector.wait_for(lambda spans: bool(_prepares(spans)))
    finally:
        traced.daemon.stop()

    (call,) = _prepares(spans)
    assert (TRACE, PARENT) == (call.trace, call.parent)
    assert ("hit", 6) == (
        call.attributes["containerd.snapshot.key"],
        call.attributes["rpc.grpc.status_code"],
    )
    inner = [span for span in spans if span.parent == call.identifier]
    assert {TRACE} == {span.trace for span in inner}
    names = {span.name for span in inner}
    expected = {"decision", "probe look", "probe scan", "database read", "database write"}
    assert expected == names
    (decision,) = (span for span in inner if span.name == "decision")
    said = {"outcome": "hit", "reason": "hit", "source": "tests", "digest": HELLO.digest}
    assert {f"cvmfs_snapshotter.{k}": v for k, v in said.items()}.items() <= (
        decision.attributes.items()
    )
    assert all(0 <= span.seconds <= call.seconds for span in inner)
    assert not any(span.failed for span in spans)


def test_a_decision_against_a_source(base: Path, collector: Collector) -> None:
    """A source that is not there shows as a failure, with its reason."""
    traced = Traced(base, collector.endpoint)
    traced.repository.path.rename(base / "away")
    traced.daemon.start()
    try:
        with closing(WireSnapshotter(traced.daemon.socket)) as client:
            client.prepare("k", "", {TARGET: HELLO.diff_id, LAYER_DIGEST: HELLO.digest})
        spans = collector.wait_for(lambda spans: bool(_prepares(spans)))
    finally:
        traced.daemon.stop()

    (decision,) = (span for span in spans if span.name == "decision")
    assert decision.failed
    assert decision.message
    assert "not-mounted" == decision.attributes["cvmfs_snapshotter.reason"]


def test_a_cleanup(base: Path, collector: Collector) -> None:
    """A Cleanup says how much it deleted."""
    traced = Traced(base, collector.endpoint)
    traced.daemon.start()
    try:
        with closing(WireSnapshotter(traced.daemon.socket)) as client:
            client.prepare("k", "", {})
            client.remove("k")
            client.cleanup()
        collector.wait_for(lambda spans: any("cleanup" == span.name for span in spans))
        assert 0 == traced.daemon.terminate()
    finally:
        traced.daemon.stop()

    (cleanup,) = (span for span in collector.spans() if span.name == "cleanup")
    assert 1 == cleanup.attributes["cvmfs_snapshotter.snapshots"]
    assert "cvmfs-snapshotter" == cleanup.service
    assert [] == traced.lines("spans")


def test_what_is_not_recorded(base: Path, collector: Collector) -> None:
    """Who calls decides about its own traces, and the ratio about all other calls."""
    traced = Traced(base, collector.endpoint, "ratio = 0\n")
    traced.daemon.start()
    try:
        traced.ask("none")
        traced.ask("not recorded", "00")
        traced.ask("recorded", "01")
        collector.wait_for(lambda spans: bool(_prepares(spans)))
        assert 0 == traced.daemon.terminate()
    finally:
        traced.daemon.stop()

    spans = collector.spans()
    assert ["recorded"] == [s.attributes["containerd.snapshot.key"] for s in _prepares(spans)]
    assert {TRACE} == {span.trace for span in spans}


def _rates(port: int) -> dict[str, float]:
    """Give the daemon's count of spans by their fate."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30.0)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    start = 'cvmfs_snapshotter_spans_total{fate="'
    lines = [line.removeprefix(start) for line in text.splitlines() if line.startswith(start)]
    return {line.partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_no_collector(base: Path) -> None:
    """Without a collector the daemon serves all the same; spans are lost, counted, told once."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        free_port = free.getsockname()[1]
    metrics = f'[metrics]\naddress = "127.0.0.1:{free_port}"\n'
    traced = Traced(base, "http://127.0.0.1:1", metrics)
    traced.daemon.start()
    try:
        traced.ask("hit")
        until = time.monotonic() + 30.0
        while not _rates(free_port)["lost"]:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert 0.0 == _rates(free_port)["sent"]
        traced.ask("again")
        assert 0 == traced.daemon.terminate()
    finally:
        traced.daemon.stop()

    (line,) = traced.lines("spans are lost")
    assert ("warning", "Connection refused") == (line["level"], line["cause"])
    (line,) = traced.lines("spans were lost")
    assert isinstance(line["lost"], int)
    assert line["lost"] >= 10
    assert [] == [line for line in traced.daemon.lines() if line["level"] == "error"]


def test_a_collector_that_hangs(base: Path, collector: Collector) -> None:
    """A collector that hangs holds up neither a call nor, for long, the end."""
    collector.hanging = True
    traced = Traced(base, collector.endpoint)
    traced.daemon.start()
    try:
        traced.ask("first")
        until = time.monotonic() + 30.0
        while not collector.requests:
            assert time.monotonic() < until
            time.sleep(0.05)
        started = time.monotonic()
        for number in range(50):
            traced.ask(f"key {number}")
        # Had each call waited for the collector, it would have been 5 s for every one.
        assert time.monotonic() - started < 60.0
        started = time.monotonic()
        assert 0 == traced.daemon.terminate()
        assert time.monotonic() - started < 25.0
    finally:
        traced.daemon.stop()

    assert [] == collector.spans()
    assert 1 == len(traced.lines("spans were lost"))


def test_another_machine(base: Path) -> None:
    """That spans go over the network as they are is said."""
    traced = Traced(base, "http://192.0.2.1")
    traced.daemon.start()
    traced.daemon.stop()

    (line,) = traced.lines("spans are sent to another machine")
    assert "http://192.0.2.1:4318/v1/traces" == line["endpoint"]


def test_without_the_packages(base: Path) -> None:
    """A daemon that should trace and cannot says what to install, and leaves nothing behind."""
    config = base / "config.toml"
    config.write_text('[tracing]\nendpoint = "http://127.0.0.1"\n')
    program = (
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "from cvmfs_snapshotter.entrypoints.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    flags = ("--config", str(config), "--root", f"{base}/root", "--address", f"{base}/a/s")
    ended = subprocess.run(
        [sys.executable, "-c", program, "run", *flags],
        check=False,
        capture_output=True,
        text=True,
    )

    assert 1 == ended.returncode
    assert "install cvmfs-snapshotter[tracing]" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ["config.toml"] == [path.name for path in base.iterdir()]


def test_a_variable_that_cannot_be_meant(base: Path) -> None:
    """OpenTelemetry refuses it; the daemon says so, and does not start."""
    config = base / "config.toml"
    config.write_text('[tracing]\nendpoint = "http://127.0.0.1"\n')
    flags = ("--config", str(config), "--root", f"{base}/root", "--address", f"{base}/a/s")
    ended = subprocess.run(
        [PROGRAM, "run", *flags],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OTEL_ATTRIBUTE_COUNT_LIMIT": "many"},
    )

    assert 1 == ended.returncode
    assert "OTEL_" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_off() -> None:
    """Without tracing nothing of it is imported, and nothing stands before the ports."""
    assert default_config().tracing is None
    program = (
        "import sys, structlog, cvmfs_snapshotter.entrypoints.daemon\n"
        "from cvmfs_snapshotter.entrypoints.config import load_config\n"
        "from cvmfs_snapshotter.entrypoints.compose import compose\n"
        "from cvmfs_snapshotter.adapters.memory import MemoryStore\n"
        "store = MemoryStore()\n"
        "log = structlog.get_logger()\n"
        "parts = compose('/nowhere', load_config(''), store, log)\n"
        "assert parts.context.store is store\n"
        "assert type(parts.tended.sources._inner).__name__ == 'Sources'\n"
        "assert 'opentelemetry' not in sys.modules\n"
        "ours = [name for name in sys.modules if 'cvmfs_snapshotter.adapters.tracing.' in name]\n"
        "assert ours == ['cvmfs_snapshotter.adapters.tracing.settings'], ours\n"
        "assert 'cvmfs_snapshotter.entrypoints.rpc.traced' not in sys.modules\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )

    assert (0, "") == (ended.returncode, ended.stderr)
