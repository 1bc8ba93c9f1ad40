"""The gRPC server on a unix socket."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol, cast
from urllib.parse import quote

import grpc

from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2_grpc

from .calls import Calls
from .guard import Guard
from .servicer import SnapshotsServicer
from .serving import CoreServer
from .streams import Streams

THREADS = 64
"""Calls that run at the same time; further ones wait."""

MESSAGE_BYTES = 16 * 1024 * 1024
"""Longest message in either direction, as in containerd; grpcio's own limit is 4 MiB."""

OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
)
"""How gRPC serves."""

_SECONDS = 1.0


class BindError(Exception):
    """The socket could not be bound."""


class Service(Protocol):
    """Another service on the same socket."""

    def add_to(self, server: grpc.Server) -> None:
        """Add its handlers."""
        ...


class SnapshotServer:
    """Serves a ``Snapshotter``, and what else there is."""

    def __init__(  # noqa: PLR0913 - all that a server may have
        self,
        snapshotter: Snapshotter,
        logger: Logger,
        streams: Streams | None = None,
        services: Sequence[Service] = (),
        observe: Callable[[str, str, float], None] | None = None,
        *,
        outermost: Sequence[grpc.ServerInterceptor] = (),
    ) -> None:
        """Make the server; no thread of ours runs yet.

        Args:
            snapshotter: does the work.
            logger: takes defects and, at level debug, every call.
            streams: watches the streams; with the usual limits if None.
            services: further services.
            observe: called with path, name of the code and seconds of every call that has ended.
            outermost: interceptors that see each call first.
        """
        self._calls = Calls()
        self._streams = streams or Streams()
        guard = Guard(logger, self._calls, self._streams, observe)
        self._room_maker = threading.Thread(
            target=self._streams.keep_making_room,
            args=(guard.note_ended,),
            name="streams",
            daemon=True,
        )
        self._server = CoreServer(THREADS, [*outermost, guard], OPTIONS, logger)
        # It takes handlers as that does.
        registry = cast("grpc.Server", self._server)
        snapshots_pb2_grpc.add_SnapshotsServicer_to_server(
            SnapshotsServicer(snapshotter), registry
        )
        for service in services:
            service.add_to(registry)

    def bind(self, path: str) -> None:
        """Make the socket. gRPC replaces a socket that is there, a live one too.

        Args:
            path: of the socket, absolute.

        Raises:
            BindError: it could not be made.
        """
        if not self._server.bind(f"unix:{quote(path)}"):
            raise BindError(path)

    def start(self) -> None:
        """Begin to answer; returns at once."""
        self._server.start()
        self._room_maker.start()

    def stop(self, grace: float) -> bool:
        """Take no more calls, let those in flight finish, and remove the socket.

        Args:
            grace: seconds after which calls in flight are cancelled.

        Returns:
            Whether nothing is running any more.
        """
        self._streams.close()
        self._server.stop(grace).wait(grace + _SECONDS)
        return self.wait_until_idle(_SECONDS)

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until no call is running.

        Args:
            seconds: how long at most.

        Returns:
            Whether none is.
        """
        return self._calls.wait_until_none(seconds)
