import queue
import threading
from collections.abc import Iterator

import attrs
import grpc
import pytest

from cvmfs_snapshotter.entrypoints.rpc.streams import Streams
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2
from tests.contract.bench import in_memory
from tests.harness.processes import wait_until

from .conftest import Serve


@attrs.define(eq=False)
class _Call:
    ended: bool = False

    def cancel(self) -> None:
        self.ended = True


@attrs.define
class _Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def _open(streams: Streams, call: _Call) -> Iterator[int]:
    stream = streams.watch(iter(range(3)), call)
    assert 0 == next(stream)
    return stream


def test_unread_streams_are_ended_in_a_crowd() -> None:
    """Where many streams are open, those that were left unread give up their threads."""
    clock = _Clock()
    streams = Streams(patience=60.0, crowd=3, monotonic=clock)
    calls = [_Call() for _ in range(3)]
    open_streams = [_open(streams, call) for call in calls]
    clock.now = 59.0
    assert 1 == next(open_streams[1])
    clock.now = 61.0

    assert 2 == streams.make_room()
    assert [True, False, True] == [call.ended for call in calls]


def test_few_streams_are_left_alone() -> None:
    """A client may take its time where nobody else wants the threads."""
    clock = _Clock()
    streams = Streams(patience=60.0, crowd=3, monotonic=clock)
    calls = [_Call() for _ in range(2)]
    open_streams = [_open(streams, call) for call in calls]
    clock.now = 1000.0

    assert 0 == streams.make_room()
    assert [1, 1] == [next(stream) for stream in open_streams]


def test_ended_streams_are_forgotten() -> None:
    """A stream that was read or dropped counts no more."""
    clock = _Clock()
    streams = Streams(patience=60.0, crowd=1, monotonic=clock)
    read, dropped = _Call(), _Call()
    assert [0, 1, 2] == list(streams.watch(iter(range(3)), read))
    _open(streams, dropped)
    clock.now = 1000.0

    assert 0 == streams.make_room()
    assert not read.ended
    assert not dropped.ended


def test_room_is_made_without_a_call() -> None:
    """Where unread streams hold every thread and nobody calls, they are ended all the same."""
    streams = Streams(patience=0.2, crowd=1)
    ended: queue.Queue[int] = queue.Queue()
    keeper = threading.Thread(target=streams.keep_making_room, args=(ended.put,))
    keeper.start()
    call = _Call()
    stream = _open(streams, call)

    assert 1 == ended.get(timeout=30.0)
    assert call.ended
    streams.close()
    keeper.join(30.0)
    assert not keeper.is_alive()
    assert [1, 2] == list(stream)


def test_closing_does_not_wait_for_a_crowd() -> None:
    """The thread that makes room ends at once, whether or not there is anything to end."""
    streams = Streams(patience=3600.0, crowd=1)
    keeper = threading.Thread(target=streams.keep_making_room, args=(lambda _: None,))
    keeper.start()
    call = _Call()
    stream = _open(streams, call)
    streams.close()
    keeper.join(30.0)

    assert not keeper.is_alive()
    assert not call.ended
    assert [1, 2] == list(stream)


def test_an_unread_list_ends_though_nobody_calls(serve: Serve) -> None:
    """A real client that does not read its List loses it without any further call."""
    with in_memory() as bench:
        labels = {f"k{n}": "x" * 4000 for n in range(10)}
        for number in range(300):
            bench.snapshotter.prepare(f"k{number}", "", labels)
        served = serve(bench.snapshotter, Streams(patience=0.2, crowd=1))
        listing = served.stub.List(snapshots_pb2.ListSnapshotsRequest())
        listing.initial_metadata()  # it has begun

        assert served.server.wait_until_idle(30.0)
        event = "streams that nobody read were ended"
        wait_until("it is told", lambda: bool(served.lines(event)))
        assert [1] == [line["count"] for line in served.lines(event)]
        with pytest.raises(grpc.RpcError):
            list(listing)


def test_an_unread_list_makes_room(serve: Serve) -> None:
    """A real client that does not read its List is cut off when others come."""
    with in_memory() as bench:
        labels = {f"k{n}": "x" * 4000 for n in range(10)}
        for number in range(300):
            bench.snapshotter.prepare(f"k{number}", "", labels)
        clock = _Clock()
        served = serve(bench.snapshotter, Streams(patience=60.0, crowd=1, monotonic=clock))
        listing = served.stub.List(snapshots_pb2.ListSnapshotsRequest())
        listing.initial_metadata()  # it has begun
        assert not served.server.wait_until_idle(0.2)
        clock.now = 61.0
        request = snapshots_pb2.StatSnapshotRequest(key="k1")
        served.stub.Stat(request, timeout=10.0)

        with pytest.raises(grpc.RpcError):
            list(listing)
        served.stub.Stat(request, timeout=10.0)
        assert served.server.wait_until_idle(10.0)
        assert served.lines("streams that nobody read were ended")
