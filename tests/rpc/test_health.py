"""The standard health service, asked over the socket."""

from collections.abc import Callable

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cvmfs_snapshotter.domain.errors import UnavailableError
from cvmfs_snapshotter.domain.layer import Reason
from cvmfs_snapshotter.entrypoints.rpc.health import SNAPSHOTS, HealthServicer
from cvmfs_snapshotter.entrypoints.rpc.server import THREADS
from tests.contract.bench import in_memory

from .conftest import Serve
from .overseen import Overseen

TIMEOUT = 30.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Asked:
    """A daemon in memory behind a socket."""

    def __init__(self, serve: Serve, snapshotter: object) -> None:
        self.overseen = Overseen()
        self.served = serve(snapshotter, services=[HealthServicer(self.overseen.overseer)])
        self.stub = health_pb2_grpc.HealthStub(self.served.channel)

    def check(self, service: str) -> int:
        """Check one service."""
        request = health_pb2.HealthCheckRequest(service=service)
        status: int = self.stub.Check(request, timeout=TIMEOUT).status
        return status

    def list(self) -> dict[str, int]:
        """Check all services."""
        answer = self.stub.List(health_pb2.HealthListRequest(), timeout=TIMEOUT)
        return {name: each.status for name, each in answer.statuses.items()}


@pytest.fixture
def asked(serve: Serve) -> Asked:
    """Give a daemon that is well."""
    with in_memory() as bench:
        return Asked(serve, bench.snapshotter)


def test_well(asked: Asked) -> None:
    """Everything serves: the whole, the service and each source; a list has the same."""
    names = ["", "containerd.services.snapshots.v1.Snapshots", "source/unpacked", "source/nfs"]

    assert [SERVING] * 4 == [asked.check(name) for name in names]
    assert dict.fromkeys(names, SERVING) == asked.list()


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("reason", [Reason.SLOW, Reason.NOT_MOUNTED])
def test_source_down(asked: Asked, times: int, reason: Reason) -> None:
    """A source in trouble does not serve, and nothing else depends on it."""
    asked.overseen.fail("nfs", times, reason)

    assert {
        "": SERVING,
        SNAPSHOTS: SERVING,
        "source/unpacked": SERVING,
        "source/nfs": NOT_SERVING,
    } == asked.list()


def test_one_failure(asked: Asked) -> None:
    """A source serves as long as it is asked, and one failure is not enough to stop that."""
    asked.overseen.fail("nfs", 1)

    assert SERVING == asked.check("source/nfs")


def test_records_out_of_reach(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its records the service does not serve; to kill the daemon would not help."""

    def fail(_: object) -> None:
        raise UnavailableError("locked")

    monkeypatch.setattr(asked.overseen.store, "read", fail)

    assert (SERVING, NOT_SERVING) == (asked.check(""), asked.check(SNAPSHOTS))


@pytest.mark.parametrize("name", ["x", "source/", "source/gone", "source/unpacked/x", "a" * 9999])
def test_unknown(asked: Asked, name: str) -> None:
    """A service that there is not is NOT_FOUND, as the protocol says."""
    with pytest.raises(grpc.RpcError) as raised:
        asked.check(name)

    assert grpc.StatusCode.NOT_FOUND is raised.value.code()
    assert len(raised.value.details() or "") < 300


def test_watch(asked: Asked) -> None:
    """Watch is not served, and so takes no thread, however many ask for it."""
    request = health_pb2.HealthCheckRequest(service="")
    watches = [asked.stub.Watch(request, timeout=TIMEOUT) for _ in range(2 * THREADS)]
    for watch in watches:
        with pytest.raises(grpc.RpcError) as raised:
            next(watch)
        assert grpc.StatusCode.UNIMPLEMENTED is raised.value.code()

    assert SERVING == asked.check("")
    assert asked.served.server.wait_until_idle(TIMEOUT)


def test_unreadable(asked: Asked) -> None:
    """A request that is none is the caller's fault."""
    call: Callable[..., bytes] = asked.served.channel.unary_unary("/grpc.health.v1.Health/Check")
    with pytest.raises(grpc.RpcError) as raised:
        call(b"\x0a\x02\xff\xfe", timeout=TIMEOUT)

    assert grpc.StatusCode.INVALID_ARGUMENT is raised.value.code()
