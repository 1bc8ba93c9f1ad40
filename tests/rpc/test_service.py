"""What the wire adds to the contract of the snapshotter."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import attrs
import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from cvmfs_snapshotter.domain.usecases.snapshotter import LayerSnapshotter
from cvmfs_snapshotter.entrypoints.rpc.status import INTERNAL
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2
from tests.contract.bench import Bench, in_memory, on_disk
from tests.contract.conftest import new_database

from .conftest import Serve, Served

__all__ = ["new_database"]

METHODS = (
    "Prepare",
    "View",
    "Mounts",
    "Commit",
    "Remove",
    "Stat",
    "Update",
    "List",
    "Usage",
    "Cleanup",
)
GARBAGE = {
    "no message": b"\xff\xff\xff\xff",
    "cut off": b"\x12\x7fabc",
    "invalid UTF-8": b"\x0a\x02\xff\xfe",
    "a surrogate": b"\x0a\x03\xed\xa0\x80",
}
TIMEOUT = 30.0


@attrs.frozen
class _Endless(LayerSnapshotter):
    """Searches for ever, as over a very large store that has no match."""

    searching: threading.Event = attrs.field(factory=threading.Event)

    def list(self, filters: Sequence[str]) -> Iterator[Sequence[Snapshot]]:
        """Give signs of life only."""
        while True:
            self.searching.set()
            yield ()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Give a snapshotter in memory with a committed snapshot, an active one and a view."""
    with in_memory() as bench:
        bench.snapshotter.prepare("key", "", {})
        bench.snapshotter.commit("base", "key", {}, "")
        bench.snapshotter.prepare("active", "base", {"a": "1"})
        bench.snapshotter.view("view", "base", {})
        yield bench


@pytest.fixture
def served(serve: Serve, bench: Bench) -> Served:
    """Give a server of it."""
    return serve(bench.snapshotter)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_unreadable_requests(bench: Bench, served: Served, method: str, garbage: str) -> None:
    """What is no message, or has a text that is not UTF-8, is INVALID_ARGUMENT and no more."""
    before = bench.everything()
    with pytest.raises(grpc.RpcError) as raised:
        served.send(method, GARBAGE[garbage])

    assert grpc.StatusCode.INVALID_ARGUMENT is raised.value.code()
    assert "cannot be read" in (raised.value.details() or "")
    assert before == bench.everything()
    assert not served.lines("call failed because of a defect")


@pytest.mark.parametrize("field", [b"\x22\x06\x0a\x01k\x12\x01\xff", b"\x1a\x02\xc3\x28"])
def test_invalid_text_deep_in_a_request(bench: Bench, served: Served, field: bytes) -> None:
    """A label or a parent that is not UTF-8 is refused too, and nothing is made."""
    before = bench.everything()
    with pytest.raises(grpc.RpcError) as raised:
        served.send("Prepare", b"\x12\x03new" + field)

    assert grpc.StatusCode.INVALID_ARGUMENT is raised.value.code()
    assert before == bench.everything()


def test_unknown_fields_are_ignored(served: Served) -> None:
    """A newer containerd may send fields that are not known here."""
    data = snapshots_pb2.StatSnapshotRequest(key="active").SerializeToString()
    answer = served.send("Stat", data + b"\xfa\x7f\x03new")

    assert "active" == snapshots_pb2.StatSnapshotResponse.FromString(answer).info.name


def test_unknown_methods(served: Served) -> None:
    """A call that does not exist is UNIMPLEMENTED, which containerd tolerates where it may."""
    with pytest.raises(grpc.RpcError) as raised:
        served.send("Defragment", b"")

    assert grpc.StatusCode.UNIMPLEMENTED is raised.value.code()


def test_update_without_info(bench: Bench, served: Served) -> None:
    """There is nothing to update: INVALID_ARGUMENT, where containerd's own service crashes."""
    before = bench.everything()
    with pytest.raises(grpc.RpcError) as raised:
        served.stub.Update(snapshots_pb2.UpdateSnapshotRequest(), timeout=TIMEOUT)

    assert grpc.StatusCode.INVALID_ARGUMENT is raised.value.code()
    assert "info" in (raised.value.details() or "")
    assert before == bench.everything()


def test_update_takes_labels_alone(served: Served) -> None:
    """Whatever else the record of an Update says, kinds unknown here too, has no effect."""
    info = snapshots_pb2.Info(name="active", parent="other", labels={"b": "2"})
    data = snapshots_pb2.UpdateSnapshotRequest(info=info).SerializeToString()
    # The same with kind = 77: no name for it here.
    with_kind = info.SerializeToString() + b"\x18\x4d"
    data = b"\x12" + bytes([len(with_kind)]) + with_kind
    answer = served.send("Update", data)
    after = snapshots_pb2.UpdateSnapshotResponse.FromString(answer).info

    assert ("base", snapshots_pb2.ACTIVE, {"b": "2"}) == (
        after.parent,
        after.kind,
        dict(after.labels),
    )


@pytest.mark.parametrize("name", ["", "overlayfs", "x" * 100_000])
def test_the_name_of_the_plugin_is_ignored(served: Served, name: str) -> None:
    """containerd sends the name under which its administrator has entered us."""
    request = snapshots_pb2.StatSnapshotRequest(snapshotter=name, key="base")

    assert "base" == served.stub.Stat(request, timeout=TIMEOUT).info.name


def test_commit_passes_the_parent(served: Served) -> None:
    """Field 5 of Commit, which containerd sends from 2.2 on, sets the parent."""
    served.stub.Prepare(snapshots_pb2.PrepareSnapshotRequest(key="free"), timeout=TIMEOUT)
    answer = served.send("Commit", b"\x12\x03new\x1a\x04free\x2a\x04base")
    request = snapshots_pb2.StatSnapshotRequest(key="new")

    assert Empty() == Empty.FromString(answer)
    assert "base" == served.stub.Stat(request, timeout=TIMEOUT).info.parent


class _Broken:
    """Fails in every call as no snapshotter should."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        def fail(*_: object) -> object:
            raise RuntimeError("a secret")

        return fail


@pytest.mark.parametrize("method", METHODS)
def test_defects_are_internal(serve: Serve, method: str) -> None:
    """A caller learns nothing of our exceptions; the log has them with their traceback."""
    served = serve(_Broken())
    info = snapshots_pb2.UpdateSnapshotRequest(info=snapshots_pb2.Info(name="x"))
    data = info.SerializeToString() if method == "Update" else b""
    with pytest.raises(grpc.RpcError) as raised:
        served.send(method, data)

    assert grpc.StatusCode.INTERNAL is raised.value.code()
    assert INTERNAL == raised.value.details()
    (line,) = served.lines("call failed because of a defect")
    assert "error" == line["log_level"]
    assert method == line["method"]
    assert isinstance(line["exc_info"], RuntimeError)


def test_calls_are_logged_at_debug(served: Served) -> None:
    """Every call leaves one line with its outcome, which is not shown unless asked for."""
    served.stub.Stat(snapshots_pb2.StatSnapshotRequest(key="base"), timeout=TIMEOUT)
    with pytest.raises(grpc.RpcError):
        served.stub.Stat(snapshots_pb2.StatSnapshotRequest(key="none"), timeout=TIMEOUT)
    served.server.wait_until_idle(5.0)

    assert [("debug", "Stat", "OK"), ("debug", "Stat", "NOT_FOUND")] == [
        (line["log_level"], line["method"], line["code"]) for line in served.lines("call")
    ]


def test_large_messages(served: Served) -> None:
    """Up to 16 MiB go both ways, four times grpcio's own limit; what is larger is refused."""
    labels = {f"k{n}": "x" * 4000 for n in range(3000)}
    request = snapshots_pb2.PrepareSnapshotRequest(key="large", labels=labels)
    served.stub.Prepare(request, timeout=TIMEOUT)
    answer = served.stub.Stat(snapshots_pb2.StatSnapshotRequest(key="large"), timeout=TIMEOUT)

    assert labels == dict(answer.info.labels)
    with pytest.raises(grpc.RpcError) as raised:
        served.send("Stat", b"\x0a\x80\x80\x80\x08" + b"x" * (16 << 20))
    assert grpc.StatusCode.RESOURCE_EXHAUSTED is raised.value.code()


def test_a_long_name_does_not_change_the_code(served: Served) -> None:
    """The message of an error stays short enough for its code to arrive."""
    request = snapshots_pb2.StatSnapshotRequest(key="é" * 16_000)
    with pytest.raises(grpc.RpcError) as raised:
        served.stub.Stat(request, timeout=TIMEOUT)

    assert grpc.StatusCode.NOT_FOUND is raised.value.code()


Making = Callable[[Callable[[Path], Path]], AbstractContextManager[Bench]]


@pytest.mark.parametrize("making", [lambda _: in_memory(), on_disk], ids=["memory", "disk"])
def test_other_calls_during_an_unread_list(
    serve: Serve, new_database: Callable[[Path], Path], making: Making
) -> None:
    """A client that lists and does not read keeps nobody from reading or writing records."""
    with making(new_database) as bench:
        labels = {f"k{n}": "x" * 4000 for n in range(10)}
        for number in range(300):
            bench.snapshotter.prepare(f"k{number}", "", labels)
        served = serve(bench.snapshotter)
        listing = served.stub.List(snapshots_pb2.ListSnapshotsRequest(), timeout=60.0)
        listing.initial_metadata()  # it has begun
        assert not served.server.wait_until_idle(0.5)

        found = served.stub.Stat(snapshots_pb2.StatSnapshotRequest(key="k7"), timeout=TIMEOUT)
        served.stub.Prepare(snapshots_pb2.PrepareSnapshotRequest(key="new"), timeout=TIMEOUT)
        served.stub.Remove(snapshots_pb2.RemoveSnapshotRequest(key="k299"), timeout=TIMEOUT)
        names = [info.name for page in listing for info in page.info]

        assert "k7" == found.info.name
        assert [f"k{n}" for n in range(299)] == [n for n in names if n not in {"new", "k299"}]
        served.server.stop(5.0)


class _Slow:
    """Lets the first Prepare wait until it is told to go on."""

    def __init__(self, inner: LayerSnapshotter) -> None:
        self.inner = inner
        self.entered, self.leave = threading.Event(), threading.Event()

    def prepare(self, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        self.entered.set()
        self.leave.wait(TIMEOUT)
        return self.inner.prepare(key, parent, labels)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


def test_a_cancelled_call_leaves_no_half(bench: Bench, serve: Serve) -> None:
    """A caller that goes away finds, when it comes back, all of what it asked for or nothing."""
    assert isinstance(bench.snapshotter, LayerSnapshotter)
    slow = _Slow(bench.snapshotter)
    served = serve(slow)
    call = served.stub.Prepare.future(snapshots_pb2.PrepareSnapshotRequest(key="new"))
    assert slow.entered.wait(TIMEOUT)
    call.cancel()
    slow.leave.set()
    assert served.server.wait_until_idle(TIMEOUT)

    assert Kind.ACTIVE is bench.record("new").kind
    assert bench.record("new").identifier in bench.context.directories.present()
    answer = served.stub.Mounts(snapshots_pb2.MountsRequest(key="new"), timeout=TIMEOUT)
    assert 1 == len(answer.mounts)
    assert not served.lines("call failed because of a defect")


def test_stopping_waits_for_the_calls_in_flight(bench: Bench, serve: Serve) -> None:
    """Whoever was heard gets an answer; whoever comes later does not."""
    assert isinstance(bench.snapshotter, LayerSnapshotter)
    slow = _Slow(bench.snapshotter)
    served = serve(slow)
    call = served.stub.Prepare.future(snapshots_pb2.PrepareSnapshotRequest(key="new"))
    assert slow.entered.wait(TIMEOUT)
    stopped: list[bool] = []
    stopping = threading.Thread(target=lambda: stopped.append(served.server.stop(TIMEOUT)))
    stopping.start()
    threading.Timer(0.3, slow.leave.set).start()

    assert 1 == len(call.result(TIMEOUT).mounts)
    stopping.join(TIMEOUT)
    assert [True] == stopped


def test_stopping_does_not_wait_for_ever(bench: Bench, serve: Serve) -> None:
    """A call that does not end is cancelled, and it is told that it still runs."""
    assert isinstance(bench.snapshotter, LayerSnapshotter)
    slow = _Slow(bench.snapshotter)
    served = serve(slow)
    call = served.stub.Prepare.future(snapshots_pb2.PrepareSnapshotRequest(key="new"))
    assert slow.entered.wait(TIMEOUT)

    assert not served.server.stop(0.2)
    with pytest.raises(grpc.RpcError):
        call.result(TIMEOUT)
    slow.leave.set()
    assert served.server.wait_until_idle(TIMEOUT)


def test_a_search_ends_with_its_client(bench: Bench, serve: Serve) -> None:
    """A List whose client has gone away stops, also if it has found nothing to send."""
    endless = _Endless(bench.context)
    served = serve(endless)
    listing = served.stub.List(snapshots_pb2.ListSnapshotsRequest())
    assert endless.searching.wait(TIMEOUT)
    assert not served.server.wait_until_idle(0.1)
    listing.cancel()

    assert served.server.wait_until_idle(TIMEOUT)
