"""Calls as parts of a trace."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import grpc
import pytest

from cvmfs_snapshotter.entrypoints.rpc.guard import Guard
from cvmfs_snapshotter.entrypoints.rpc.health import SERVICE as HEALTH
from cvmfs_snapshotter.entrypoints.rpc.health import HealthServicer
from cvmfs_snapshotter.entrypoints.rpc.server import SnapshotServer
from cvmfs_snapshotter.entrypoints.rpc.serving import CoreServer
from cvmfs_snapshotter.entrypoints.rpc.traced import CallSpan
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2
from tests.contract.bench import Bench, in_memory

from .conftest import SERVICE, Serve
from .overseen import Overseen

SECONDS = 30.0


class Span:
    """A span that remembers what became of it."""

    def __init__(self, path: str, metadata: Mapping[str, str], about: Mapping[str, str]) -> None:
        self.path, self.metadata = path, dict(metadata)
        self.about = {key: value for key, value in about.items() if value}
        self.status: tuple[str, int, str] | None = None
        self.threads: list[int] = []
        self.inside = 0
        self.ended = threading.Event()

    @contextmanager
    def current(self) -> Iterator[None]:
        """See ``CallSpan.current``."""
        self.threads.append(threading.get_ident())
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def end(self, code: str, number: int, message: str) -> None:
        """See ``CallSpan.end``."""
        self.status = code, number, message
        self.ended.set()


class Spans:
    """Begins spans and keeps them."""

    def __init__(self) -> None:
        self.begun: list[Span] = []

    def begin(self, path: str, metadata: Mapping[str, str], about: Mapping[str, str]) -> CallSpan:
        """See ``Begin``."""
        self.begun.append(Span(path, metadata, about))
        return self.begun[-1]

    def one(self) -> Span:
        """Wait for the end of the only span, and give it."""
        (span,) = self.begun
        assert span.ended.wait(SECONDS)
        return span


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Give a snapshotter in memory."""
    with in_memory() as made:
        yield made


@pytest.fixture
def spans() -> Spans:
    """Give what begins spans."""
    return Spans()


def test_a_call(bench: Bench, serve: Serve, spans: Spans) -> None:
    """What containerd sends about its trace reaches the span, and nothing else of the metadata."""
    served = serve(bench.snapshotter, begin=spans.begin)
    request = snapshots_pb2.PrepareSnapshotRequest(key="k", parent="none")
    metadata = (("traceparent", "00-a"), ("authorization", "x"), ("containerd-namespace", "n"))
    with pytest.raises(grpc.RpcError):
        served.stub.Prepare(request, timeout=SECONDS, metadata=metadata)

    span = spans.one()
    assert f"{SERVICE}/Prepare" == span.path
    assert {"traceparent": "00-a", "containerd-namespace": "n"} == span.metadata
    assert {"containerd.snapshot.key": "k", "containerd.snapshot.parent": "none"} == span.about
    assert span.status is not None
    assert ("NOT_FOUND", 5) == span.status[:2]
    assert "none" in span.status[2]
    assert (1, 0) == (len(span.threads), span.inside)


def test_each_call_has_a_span(bench: Bench, serve: Serve, spans: Spans) -> None:
    """The second call of a method is traced like the first."""
    served = serve(bench.snapshotter, begin=spans.begin)
    for key in "ab":
        request = snapshots_pb2.PrepareSnapshotRequest(key=key)
        served.stub.Prepare(request, timeout=SECONDS)

    assert ["a", "b"] == [span.about["containerd.snapshot.key"] for span in spans.begun]
    assert all(span.ended.wait(SECONDS) for span in spans.begun)
    assert [("OK", 0, "")] * 2 == [span.status for span in spans.begun]


def test_what_cannot_be_read(bench: Bench, serve: Serve, spans: Spans) -> None:
    """Calls that the guard refuses have a span too."""
    served = serve(bench.snapshotter, begin=spans.begin)
    with pytest.raises(grpc.RpcError):
        served.send("Stat", b"\xff")

    span = spans.one()
    assert span.status is not None
    assert ("INVALID_ARGUMENT", 3) == span.status[:2]
    assert {} == span.about


def test_a_list(bench: Bench, serve: Serve, spans: Spans) -> None:
    """A stream belongs to its span while answers are made, until the last one."""
    for number in range(150):
        bench.snapshotter.prepare(f"k{number}", "", {})
    served = serve(bench.snapshotter, begin=spans.begin)
    answers = list(served.stub.List(snapshots_pb2.ListSnapshotsRequest(), timeout=SECONDS))

    assert 150 == sum(len(answer.info) for answer in answers)
    span = spans.one()
    assert ("OK", 0, "") == span.status
    assert (len(answers) + 1, 0) == (len(span.threads), span.inside)


def test_a_list_that_fails(bench: Bench, serve: Serve, spans: Spans) -> None:
    """The status of a stream that fails is in its span."""
    served = serve(bench.snapshotter, begin=spans.begin)
    request = snapshots_pb2.ListSnapshotsRequest(filters=["name~="])
    with pytest.raises(grpc.RpcError):
        list(served.stub.List(request, timeout=SECONDS))

    status = spans.one().status
    assert status is not None
    assert ("INVALID_ARGUMENT", 3) == status[:2]


def test_a_list_that_nobody_reads(bench: Bench, serve: Serve, spans: Spans) -> None:
    """A client that goes away ends the span, and the stream below it."""
    for number in range(300):
        bench.snapshotter.prepare(f"k{number}", "", {f"l{n}": "x" * 4000 for n in range(10)})
    served = serve(bench.snapshotter, begin=spans.begin)
    listing = served.stub.List(snapshots_pb2.ListSnapshotsRequest(), timeout=SECONDS)
    next(listing)
    listing.cancel()

    span = spans.one()
    assert ("CANCELLED", 0) == (span.status[0] if span.status else "", span.inside)
    assert served.server.wait_until_idle(SECONDS)


def test_other_services(serve: Serve, bench: Bench, spans: Spans) -> None:
    """The looks of a watchdog at the daemon's health are in no trace."""
    health = HealthServicer(Overseen().overseer)
    served = serve(bench.snapshotter, services=(health,), begin=spans.begin)
    check: Callable[..., bytes] = served.channel.unary_unary(f"/{HEALTH}/Check")
    check(b"", timeout=SECONDS)
    with pytest.raises(grpc.RpcError):
        served.send("Unknown", b"")

    assert [] == spans.begun


def test_a_call_that_cannot_be_traced(bench: Bench, serve: Serve) -> None:
    """A defect of tracing costs the span and not the call, and is logged."""

    def begin(*_: object) -> CallSpan:
        raise ValueError("a defect")

    served = serve(bench.snapshotter, begin=begin)
    served.stub.Prepare(snapshots_pb2.PrepareSnapshotRequest(key="k"), timeout=SECONDS)
    assert 1 == len(list(served.stub.List(snapshots_pb2.ListSnapshotsRequest(), timeout=SECONDS)))

    assert 2 == len(served.lines("a call could not be traced"))


def test_a_span_that_cannot_be_ended(bench: Bench, serve: Serve) -> None:
    """So does one that shows only at the end."""

    class Broken(Span):
        def end(self, *_: object) -> None:
            """Fail."""
            raise ValueError("a defect")

    served = serve(bench.snapshotter, begin=Broken)
    served.stub.Prepare(snapshots_pb2.PrepareSnapshotRequest(key="k"), timeout=SECONDS)
    assert served.server.stop(SECONDS)

    assert 1 == len(served.lines("the span of a call could not be ended"))


def test_off(bench: Bench, monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """Without tracing the guard is the only interceptor."""
    asked: list[object] = []
    make = CoreServer.__init__

    def note(
        server: CoreServer, threads: int, interceptors: Sequence[object], *others: object
    ) -> None:
        asked.append(interceptors)
        make(server, threads, interceptors, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(CoreServer, "__init__", note)
    served = serve(bench.snapshotter)

    assert isinstance(served.server, SnapshotServer)
    (interceptors,) = asked
    assert isinstance(interceptors, list)
    assert [Guard] == [type(one) for one in interceptors]
