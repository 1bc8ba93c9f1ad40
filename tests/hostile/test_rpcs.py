"""Every call with requests that nobody sends who means well, through a real server."""

import contextlib
import os
import random
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import grpc
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import LogCapture

from cvmfs_snapshotter.domain.errors import FailedPreconditionError
from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.entrypoints.rpc.admin import AdminServicer
from cvmfs_snapshotter.entrypoints.rpc.health import HealthServicer
from cvmfs_snapshotter.entrypoints.rpc.server import Service, SnapshotServer
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2 as pb
from tests.contract.bench import Bench, on_disk
from tests.contract.conftest import new_database
from tests.hostile import requests
from tests.rpc.overseen import Overseen

__all__ = ["new_database"]

LONG = os.environ.get("CVMFS_SNAPSHOTTER_LONG") == "1"
SERVICE = "/containerd.services.snapshots.v1.Snapshots"
ALLOWED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
PYTHON = re.compile(
    r"Traceback|Exception|[A-Z][a-z]+Error\b|<class |object at 0x|\[Errno |File \"|sqlite3?\b|"
    r"codec can't|argument of type|positional argument|NoneType"
)
"""What texts of Python's exceptions look like; none of it is in the requests."""

EXAMPLES = 3000 if LONG else 250
SEEDS = 1000 if LONG else 25
REQUESTS_OF_A_SEED = 1000


@attrs.frozen
class Target:
    """A server on a real store and real directories, and a way to send it bytes.

    Attributes:
        bench: what lies behind it.
    """

    bench: Bench
    channel: grpc.Channel
    log: LogCapture
    socket: Path

    def send(self, method: str, data: bytes) -> grpc.StatusCode:
        """Send one request and check what comes back against the rules of this file."""
        before = self.bench.everything()
        code, details = self._call(method, data)
        shown = f"{method} {data[:300]!r} ({len(data)} bytes): {code} {details[:300]!r}"

        assert code in ALLOWED, shown
        assert not PYTHON.search(details), shown
        if code is not grpc.StatusCode.OK and not self._hit(code, details):
            assert before == self.bench.everything(), shown
        return code

    def _call(self, method: str, data: bytes) -> tuple[grpc.StatusCode, str]:
        # The answer to all but List is one message; reading it as a stream serves for both.
        path = method if method.startswith("/") else f"{SERVICE}/{method}"
        send: Callable[..., Iterator[bytes]] = self.channel.unary_stream(path)
        try:
            for _ in send(data, timeout=60.0):
                pass
        except grpc.RpcError as error:
            return error.code(), str(error.details())
        return grpc.StatusCode.OK, ""

    @staticmethod
    def _hit(code: grpc.StatusCode, details: str) -> bool:
        # The answer of containerd's protocol that a layer was provided is an error that succeeds.
        return code is grpc.StatusCode.ALREADY_EXISTS and details.startswith("target snapshot")

    def reset(self) -> None:
        """Go back to the snapshots of ``requests.KNOWN``."""
        snapshotter = self.bench.snapshotter
        while left := [s.name for batch in snapshotter.list([]) for s in batch]:
            for name in left:
                with contextlib.suppress(FailedPreconditionError):  # until its children are gone
                    snapshotter.remove(name)
        snapshotter.cleanup()
        snapshotter.prepare("1", "", {})
        snapshotter.commit("base", "1", {"a": "1"}, "")
        snapshotter.prepare("1", "base", {})
        snapshotter.commit("top", "1", {}, "")
        snapshotter.prepare("active", "top", {})
        snapshotter.view("view", "top", {})

    def require_sound(self) -> None:
        """Make sure that it still serves, and that no call failed because of a defect."""
        assert grpc.StatusCode.OK is self.send(
            "Stat", pb.StatSnapshotRequest(key="base").SerializeToString()
        )
        assert [] == [e for e in self.log.entries if e["log_level"] in {"error", "critical"}]


@pytest.fixture(scope="module")
def target(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], Path]
) -> Iterator[Target]:
    """Give a server that all tests of this module send to."""
    directory = tmp_path_factory.mktemp("hostile")
    with ExitStack() as stack:
        bench = stack.enter_context(on_disk(new_database))
        digest = Digest.parse(requests.PUBLISHED)
        assert digest is not None
        bench.sources.publish("tests", digest)
        log = LogCapture()
        logger = structlog.wrap_logger(
            None, processors=[log], wrapper_class=structlog.make_filtering_bound_logger("info")
        )
        overseer = Overseen().overseer
        services: list[Service] = [AdminServicer(overseer), HealthServicer(overseer)]
        server = SnapshotServer(bench.snapshotter, logger, services=services)
        path = directory / "s"
        server.bind(str(path))
        server.start()
        stack.callback(server.stop, 5.0)
        sizes = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        channel = stack.enter_context(grpc.insecure_channel(f"unix:{path}", options=sizes))
        made = Target(bench, channel, log, path)
        yield made
        made.reset()
        made.require_sound()


@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sent=st.lists(requests.messages, min_size=1, max_size=5))
def test_requests_of_the_right_shape(
    target: Target, sent: list[tuple[str, dict[str, object]]]
) -> None:
    """Whatever stands in the fields, the answer is one that containerd knows."""
    target.reset()
    for method, fields in sent:
        target.send(method, requests.written(method, fields))
    target.require_sound()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_requests_of_any_shape(target: Target, seed: int) -> None:
    """Bytes that are no message, or hardly one, are answered too, and change nothing."""
    chance = random.Random(seed)  # noqa: S311 - tests, not secrets
    for number in range(REQUESTS_OF_A_SEED):
        if number % 100 == 0:
            target.reset()
        target.send(*requests.made_up(chance))
    target.require_sound()


@pytest.mark.parametrize(
    "method",
    [
        *(f"/cvmfs_snapshotter.admin.v1.Admin/{name}" for name in ("Status", "Hold", "Release")),
        *(f"/grpc.health.v1.Health/{name}" for name in ("Check", "List")),
    ],
)
def test_the_other_services(target: Target, method: str) -> None:
    """What is served beside the snapshots bears the same."""
    target.reset()
    chance = random.Random(method)  # noqa: S311 - tests, not secrets
    for _ in range(200):
        target.send(method, requests.noise(chance))
    for text in requests.TEXTS:
        target.send(method, _field(1, text.encode()))
    target.require_sound()


def _field(number: int, content: bytes) -> bytes:
    """Give a field of bytes as it is on the wire."""
    size, length = len(content), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def _label(number: int) -> bytes:
    return _field(4, _field(1, b"%d" % number) + _field(2, b"v"))


KEY = _field(2, b"new")
EXTREMES = {
    "a map of a million labels": ("Prepare", KEY + b"".join(map(_label, range(1_000_000)))),
    "a label a million times": ("Prepare", KEY + _label(1) * 1_000_000),
    "a label of 15 MiB": ("Prepare", KEY + _field(4, _field(1, b"x" * 15_000_000))),
    "a key of 16 MiB": ("Stat", _field(2, b"k" * 16_000_000)),
    "a million filters": ("List", _field(2, b"a") * 1_000_000),
    "a million empty filters": ("List", _field(2, b"") * 1_000_000),
    "a filter of 16 MiB": ("List", _field(2, b"a." * 8_000_000)),
    "a million paths": ("Update", _field(3, _field(1, b"labels.a") * 1_000_000)),
    "groups within groups": ("Stat", b"\x0b" * 1_000_000),
    "messages within messages": ("Update", _field(2, b"\x0b" * 100_000)),
    "a million unknown fields": ("Stat", b"\xf8\x01\x01" * 1_000_000),
    "longer than a message may be": ("Stat", _field(2, b"k" * (17 << 20))),
    "sixteen mebibytes of zeros": ("Stat", bytes(16 << 20)),
}
MAY_SUCCEED = {"a label a million times", "a million unknown fields"}


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_requests(target: Target, name: str) -> None:
    """What is endless in one way or another is refused like anything else."""
    target.reset()
    code = target.send(*EXTREMES[name])

    refused = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert code in refused or (name in MAY_SUCCEED and code is not grpc.StatusCode.INTERNAL)
    target.require_sound()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(1000),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 10_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        random.Random(5).randbytes(100_000),  # noqa: S311 - tests, not secrets
    ],
    ids=["nothing", "HTTP", "preface", "zeros", "ones", "TLS", "noise"],
)
def test_what_is_not_grpc(target: Target, data: bytes) -> None:
    """Bytes that are no gRPC at all end their own connection, and nobody else's."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10.0)
        client.connect(str(target.socket))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(data)
    target.require_sound()


@pytest.mark.parametrize("method", ["Nothing", "prepare", "Prepare/", "../Prepare", ""])
def test_calls_that_do_not_exist(target: Target, method: str) -> None:
    """They are answered as such."""
    call: Callable[..., bytes] = target.channel.unary_unary(f"{SERVICE}/{method}")
    with pytest.raises(grpc.RpcError) as raised:
        call(b"", timeout=30.0)

    assert grpc.StatusCode.UNIMPLEMENTED is raised.value.code()
    target.require_sound()
