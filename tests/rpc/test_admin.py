"""The service for the operator, asked over the socket."""

import attrs
import grpc
import pytest

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.adapters.sqlite.migrate import REVISIONS
from cvmfs_snapshotter.domain.layer import Digest, Layer, Reason
from cvmfs_snapshotter.domain.ports.store import Transaction
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from cvmfs_snapshotter.entrypoints.disk import Disk
from cvmfs_snapshotter.entrypoints.rpc.admin import AdminServicer
from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2, admin_pb2_grpc
from tests.contract.bench import in_memory

from .conftest import Serve
from .overseen import STARTED, Overseen

TIMEOUT = 30.0
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


class Asked:
    """A daemon in memory behind a socket."""

    def __init__(self, serve: Serve, snapshotter: object) -> None:
        self.overseen = Overseen()
        served = serve(snapshotter, services=[AdminServicer(self.overseen.overseer)])
        self.stub = admin_pb2_grpc.AdminStub(served.channel)

    def status(self) -> admin_pb2.StatusResponse:
        """Ask how it is."""
        return self.stub.Status(admin_pb2.StatusRequest(), timeout=TIMEOUT)

    def source(self, name: str) -> admin_pb2.Source:
        """Ask how a source is."""
        return next(source for source in self.status().sources if source.name == name)

    def release(self, name: str) -> bool:
        """Release a source."""
        request = admin_pb2.ReleaseRequest(source=name)
        return self.stub.Release(request, timeout=TIMEOUT).released


@pytest.fixture
def asked(serve: Serve) -> Asked:
    """Give a daemon that is well."""
    with in_memory() as bench:
        return Asked(serve, bench.snapshotter)


def test_status(asked: Asked) -> None:
    """Version, root, start, and each source with what is configured about it."""
    status = asked.status()
    unpacked, nfs = status.sources

    assert (__version__, "/root") == (status.version, status.root)
    assert STARTED == status.started_at.ToNanoseconds()
    assert ("unpacked", "cvmfs", "unpacked.cern.ch") == (
        unpacked.name,
        unpacked.kind,
        unpacked.repository,
    )
    assert ("/cvmfs/unpacked.cern.ch", "/host/unpacked") == (unpacked.path, unpacked.host_path)
    assert ("nfs", "directory", "", "/nfs", "/nfs") == (
        nfs.name,
        nfs.kind,
        nfs.repository,
        nfs.path,
        nfs.host_path,
    )
    assert ([], 0, 0, 0) == (
        list(status.snapshots),
        status.tombstones,
        status.probes,
        status.stuck_probes,
    )


def test_disk(asked: Asked) -> None:
    """The schema of the records, their size, and the room on the disk are told."""
    status = asked.status()

    assert REVISIONS[-1] == status.schema
    assert (163_840, 41_200_000_000, 100_000_000_000) == (
        status.disk.records,
        status.disk.free,
        status.disk.total,
    )


def test_unknown_disk(asked: Asked) -> None:
    """What cannot be measured is not set, and the rest is told all the same."""
    asked.overseen.disk = Disk(None, None, None)
    status = asked.status()

    assert [] == [name for name in ("records", "free", "total") if status.disk.HasField(name)]
    assert "/root" == status.root


def test_well(asked: Asked) -> None:
    """A source that is well has a closed circuit and no cause; what is not known is not set."""
    source = asked.source("unpacked")

    assert admin_pb2.Circuit.STATE_CLOSED == source.circuit.state
    assert (0, 0, 0) == (
        source.circuit.failures,
        source.circuit.tries,
        source.circuit.suspects,
    )
    assert not source.circuit.HasField("cause")
    assert not source.circuit.HasField("next_try")
    assert not source.HasField("last_error")
    assert not source.HasField("revision")
    assert (True, False) == (source.keep_mounted, source.held)


def test_open_circuit(asked: Asked) -> None:
    """Age, cause, tries and the time of the next one are told."""
    asked.overseen.fail("nfs")
    asked.overseen.clock.advance(0.25)
    source = asked.source("nfs")
    circuit = source.circuit

    assert (admin_pb2.Circuit.STATE_OPEN, 2, 0) == (
        circuit.state,
        circuit.failures,
        circuit.tries,
    )
    assert ("slow", "the source has a fault: slow") == (
        circuit.cause.reason,
        circuit.cause.detail,
    )
    assert (250_000_000, 750_000_000) == (
        circuit.age.ToNanoseconds(),
        circuit.next_try.ToNanoseconds(),
    )
    assert "slow" == source.last_error.reason
    assert 1_700_000_000 == source.last_error.at.seconds
    assert not asked.source("unpacked").HasField("last_error")


def test_trying(asked: Asked) -> None:
    """While it is tried there is no time of a next one."""
    asked.overseen.fail("nfs")
    asked.overseen.clock.advance(1.0)
    asked.overseen.breakers.begin_trial("nfs")
    circuit = asked.source("nfs").circuit

    assert (admin_pb2.Circuit.STATE_TRYING, 1) == (circuit.state, circuit.tries)
    assert not circuit.HasField("next_try")


def test_recovered(asked: Asked) -> None:
    """The last error is told when it is long over."""
    asked.overseen.fail("nfs", 1, Reason.STALE)
    del asked.overseen.inner.faults["nfs"]
    asked.overseen.tended.sources.look(Layer("nfs", Digest("a" * 64)), 1e9)
    source = asked.source("nfs")

    assert not source.circuit.HasField("cause")
    assert "stale" == source.last_error.reason


def test_hold_and_release(asked: Asked) -> None:
    """A source is held on request, with its revision, and released on request."""
    tender = asked.overseen.tended.tenders["nfs"]
    asked.stub.Hold(admin_pb2.HoldRequest(source="nfs"), timeout=TIMEOUT)
    tender.work()
    source = asked.source("nfs")
    assert (True, True, 4711) == (source.keep_mounted, source.held, source.revision)

    assert asked.release("nfs")
    source = asked.source("nfs")
    assert (False, False) == (source.keep_mounted, source.held)


def test_release_of_what_hangs(asked: Asked) -> None:
    """A process that hangs is told of, by the answer and by the status."""
    asked.overseen.tended.tenders["unpacked"].work()
    asked.overseen.keeper.stuck = True

    assert not asked.release("unpacked")
    assert 1 == asked.status().stuck_probes


@pytest.mark.parametrize("call", ["Hold", "Release"])
def test_unknown_source(asked: Asked, call: str) -> None:
    """A source that is not configured is NOT_FOUND, with the names of those that are."""
    request = getattr(admin_pb2, f"{call}Request")(source="gone")
    with pytest.raises(grpc.RpcError) as raised:
        getattr(asked.stub, call)(request, timeout=TIMEOUT)

    assert grpc.StatusCode.NOT_FOUND is raised.value.code()
    assert "'unpacked', 'nfs'" in (raised.value.details() or "")


def test_records(asked: Asked) -> None:
    """Snapshots are counted by kind and source, local ones first, and removed ones apart."""
    remote = attrs.evolve(
        LOCAL,
        identifier=2,
        name="b",
        kind=Kind.COMMITTED,
        labels={"containerd.io/snapshot.ref": "t"},
        layer=Layer("nfs", Digest("a" * 64)),
    )
    gone = attrs.evolve(LOCAL, identifier=3, name="c")

    def record(transaction: Transaction) -> None:
        for snapshot in (remote, LOCAL, gone):
            transaction.insert(snapshot)
        transaction.bury(3)

    asked.overseen.store.write(record)
    status = asked.status()

    assert [("active", "", 1), ("committed", "nfs", 1)] == [
        (each.kind, each.source, each.count) for each in status.snapshots
    ]
    assert 1 == status.tombstones
