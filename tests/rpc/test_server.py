"""The server itself: its socket, its threads, its limits."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import structlog

from cvmfs_snapshotter.domain.snapshot import Snapshot
from cvmfs_snapshotter.entrypoints.rpc.server import (
    MESSAGE_BYTES,
    THREADS,
    BindError,
    SnapshotServer,
)
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2
from tests.contract.bench import Bench, in_memory
from tests.contract.wire import WireSnapshotter

from .conftest import Serve

TIMEOUT = 30.0
LARGE = {f"k{number}": "x" * 4000 for number in range(400)}
"""Labels of 1.6 MB."""


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Give an empty snapshotter in memory."""
    with in_memory() as bench:
        yield bench


@pytest.fixture
def directory() -> Iterator[Path]:
    """Give a directory whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def _server(bench: Bench) -> SnapshotServer:
    """Make a server that is not bound yet."""
    return SnapshotServer(bench.snapshotter, structlog.get_logger())


@pytest.mark.parametrize("name", ["s", "two words", "50%", "a%20b", "ü", "a?b#c", "x:y,z"])
def test_odd_paths(bench: Bench, directory: Path, name: str) -> None:
    """A socket lies where it was said, whatever its path would mean in an address of gRPC."""
    server = _server(bench)
    server.bind(str(directory / name))
    server.start()

    assert [name] == [path.name for path in directory.iterdir()]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / name))
    assert server.stop(TIMEOUT)


def test_no_place_for_a_socket(bench: Bench, directory: Path) -> None:
    """A socket that cannot be made is an error, not a daemon without one."""
    with pytest.raises(BindError):
        _server(bench).bind(str(directory / "none" / "s"))


def test_end(bench: Bench, directory: Path) -> None:
    """A server that was stopped leaves no socket, and can be followed by another one."""
    path = directory / "s"
    for _ in range(3):
        server = _server(bench)
        server.bind(str(path))
        server.start()
        client = WireSnapshotter(path)
        assert [] == list(client.list([]))
        client.close()
        assert server.stop(TIMEOUT)
        assert not path.exists()


def test_large_list(bench: Bench, serve: Serve) -> None:
    """A List of many megabytes comes whole, in messages that containerd takes."""
    for number in range(12):
        bench.snapshotter.prepare(f"k{number:02}", "", LARGE)
    served = serve(bench.snapshotter)

    pages = list(served.stub.List(snapshots_pb2.ListSnapshotsRequest(), timeout=TIMEOUT))
    assert 12 * 1_600_000 < sum(page.ByteSize() for page in pages)
    assert all(page.ByteSize() < MESSAGE_BYTES for page in pages)
    assert [(f"k{number:02}", LARGE) for number in range(12)] == [
        (info.name, dict(info.labels)) for page in pages for info in page.info
    ]


def test_one_large_snapshot(bench: Bench, serve: Serve) -> None:
    """A single snapshot above grpcio's own limit of 4 MiB is listed too."""
    labels = {f"k{number}": "x" * 4000 for number in range(1400)}
    bench.snapshotter.prepare("large", "", labels)
    served = serve(bench.snapshotter)

    (page,) = served.stub.List(snapshots_pb2.ListSnapshotsRequest(), timeout=TIMEOUT)
    assert 5 * 1024 * 1024 < page.ByteSize()
    assert labels == dict(page.info[0].labels)


def test_too_large_request(bench: Bench, serve: Serve) -> None:
    """A Prepare above 16 MiB is refused with a code, nothing is made, and the server goes on."""
    served = serve(bench.snapshotter)
    labels = {f"k{number}": "x" * 4000 for number in range(5000)}
    request = snapshots_pb2.PrepareSnapshotRequest(key="large", labels=labels)
    with pytest.raises(grpc.RpcError) as raised:
        served.stub.Prepare(request, timeout=TIMEOUT)

    assert grpc.StatusCode.RESOURCE_EXHAUSTED is raised.value.code()
    assert [] == list(served.stub.List(snapshots_pb2.ListSnapshotsRequest(), timeout=TIMEOUT))


class _Gate:
    """Lets every Stat wait until it is opened, and counts those that wait."""

    def __init__(self, inner: Bench) -> None:
        self.inner = inner.snapshotter
        self.opened = threading.Event()
        self.waiting = threading.Semaphore(0)

    def stat(self, key: str) -> Snapshot:
        self.waiting.release()
        self.opened.wait(TIMEOUT)
        return self.inner.stat(key)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


def test_more_calls_than_threads(bench: Bench, serve: Serve) -> None:
    """Calls beyond the number of threads wait for their turn; none is refused."""
    bench.snapshotter.prepare("a", "", {})
    gate = _Gate(bench)
    served = serve(gate)
    request = snapshots_pb2.StatSnapshotRequest(key="a")
    futures = [served.stub.Stat.future(request, timeout=TIMEOUT) for _ in range(3 * THREADS)]
    for _ in range(THREADS):
        assert gate.waiting.acquire(timeout=TIMEOUT)
    assert not gate.waiting.acquire(timeout=0.2)
    gate.opened.set()

    assert ["a"] * (3 * THREADS) == [future.result(TIMEOUT).info.name for future in futures]


def test_cancelled_list(bench: Bench, serve: Serve) -> None:
    """A List that its client drops half read frees its thread and disturbs no other call."""
    for number in range(300):
        bench.snapshotter.prepare(f"k{number}", "", {f"l{n}": "x" * 4000 for n in range(10)})
    served = serve(bench.snapshotter)
    for _ in range(2 * THREADS):
        listing = served.stub.List(snapshots_pb2.ListSnapshotsRequest(), timeout=TIMEOUT)
        assert 100 == len(next(listing).info)
        listing.cancel()

    assert served.server.wait_until_idle(TIMEOUT)
    request = snapshots_pb2.StatSnapshotRequest(key="k7")
    assert "k7" == served.stub.Stat(request, timeout=TIMEOUT).info.name
    assert not served.lines("call failed because of a defect")
