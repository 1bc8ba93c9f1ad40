"""A server and a client of it, in one process."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import attrs
import grpc
import pytest
import structlog
from structlog.testing import LogCapture

from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter
from cvmfs_snapshotter.entrypoints.rpc.server import Service, SnapshotServer
from cvmfs_snapshotter.entrypoints.rpc.streams import Streams
from cvmfs_snapshotter.entrypoints.rpc.traced import Begin, Traced
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2_grpc

SERVICE = "/containerd.services.snapshots.v1.Snapshots"


@attrs.frozen
class Served:
    """A server, a channel to it, and what it has logged.

    Attributes:
        server: serves.
        channel: leads to it.
        log: its lines.
        socket: where it serves.
    """

    server: SnapshotServer
    channel: grpc.Channel
    log: LogCapture
    socket: Path

    @property
    def stub(self) -> snapshots_pb2_grpc.SnapshotsStub:
        """Give typed calls."""
        return snapshots_pb2_grpc.SnapshotsStub(self.channel)

    def send(self, method: str, data: bytes) -> bytes:
        """Send bytes as the request of a call, whatever they are, and give those of the answer."""
        call: Callable[..., bytes] = self.channel.unary_unary(f"{SERVICE}/{method}")
        return call(data, timeout=30.0)

    def lines(self, event: str) -> list[dict[str, object]]:
        """Give the lines of one kind."""
        return [dict(line) for line in self.log.entries if line["event"] == event]


Serve = Callable[..., Served]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Give a function that serves a snapshotter until the test ends."""
    with ExitStack() as stack:

        def start(
            snapshotter: Snapshotter,
            streams: Streams | None = None,
            services: Sequence[Service] = (),
            begin: Begin | None = None,
        ) -> Served:
            log = LogCapture()
            logger = structlog.wrap_logger(
                None,
                processors=[log],
                wrapper_class=structlog.make_filtering_bound_logger("debug"),
            )
            socket = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "s"
            outermost = () if begin is None else (Traced(begin, logger),)
            server = SnapshotServer(snapshotter, logger, streams, services, outermost=outermost)
            server.bind(str(socket))
            server.start()
            stack.callback(server.stop, 5.0)
            limit = [("grpc.max_receive_message_length", 16 << 20)]
            channel = stack.enter_context(grpc.insecure_channel(f"unix:{socket}", options=limit))
            return Served(server, channel, log, socket)

        yield start
