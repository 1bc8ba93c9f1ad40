"""Servers whose handlers do nothing: what they cost is the price of gRPC.

One is what grpcio gives everybody, the floor; the other one serves as our daemon does, so that
what lies above it is the price of our handlers.
"""

# Names and arguments of the methods are given by the generated base class.
# ruff: noqa: ARG002, N802

import logging
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import grpc
from google.protobuf.empty_pb2 import Empty

from cvmfs_snapshotter.adapters.logs.logger import open_log
from cvmfs_snapshotter.entrypoints.rpc.server import OPTIONS, THREADS
from cvmfs_snapshotter.entrypoints.rpc.serving import CoreServer
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import (
    snapshots_pb2 as messages,
)
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import (
    snapshots_pb2_grpc,
)


class EmptyServicer(snapshots_pb2_grpc.SnapshotsServicer):
    """Answers every call at once with an empty message."""

    def Prepare(
        self, request: messages.PrepareSnapshotRequest, context: grpc.ServicerContext
    ) -> messages.PrepareSnapshotResponse:
        """Answer."""
        return messages.PrepareSnapshotResponse()

    def View(
        self, request: messages.ViewSnapshotRequest, context: grpc.ServicerContext
    ) -> messages.ViewSnapshotResponse:
        """Answer."""
        return messages.ViewSnapshotResponse()

    def Mounts(
        self, request: messages.MountsRequest, context: grpc.ServicerContext
    ) -> messages.MountsResponse:
        """Answer."""
        return messages.MountsResponse()

    def Commit(
        self, request: messages.CommitSnapshotRequest, context: grpc.ServicerContext
    ) -> Empty:
        """Answer."""
        return Empty()

    def Remove(
        self, request: messages.RemoveSnapshotRequest, context: grpc.ServicerContext
    ) -> Empty:
        """Answer."""
        return Empty()

    def Stat(
        self, request: messages.StatSnapshotRequest, context: grpc.ServicerContext
    ) -> messages.StatSnapshotResponse:
        """Answer."""
        return messages.StatSnapshotResponse()

    def Update(
        self, request: messages.UpdateSnapshotRequest, context: grpc.ServicerContext
    ) -> messages.UpdateSnapshotResponse:
        """Answer."""
        return messages.UpdateSnapshotResponse()

    def List(
        self, request: messages.ListSnapshotsRequest, context: grpc.ServicerContext
    ) -> Iterator[messages.ListSnapshotsResponse]:
        """Answer."""
        yield messages.ListSnapshotsResponse()

    def Usage(
        self, request: messages.UsageRequest, context: grpc.ServicerContext
    ) -> messages.UsageResponse:
        """Answer."""
        return messages.UsageResponse()

    def Cleanup(self, request: messages.CleanupRequest, context: grpc.ServicerContext) -> Empty:
        """Answer."""
        return Empty()


def main() -> int:
    """Serve on the socket that the first argument names, until killed.

    The second argument is ``grpcio`` or ``ours``, for who serves.
    """
    address = f"unix:{sys.argv[1]}"
    if sys.argv[2] == "ours":
        ours = CoreServer(THREADS, (), OPTIONS, open_log(logging.INFO).logger)
        snapshots_pb2_grpc.add_SnapshotsServicer_to_server(
            EmptyServicer(), cast("grpc.Server", ours)
        )
        ours.bind(address)
        ours.start()
    else:
        server = grpc.server(ThreadPoolExecutor(THREADS), options=OPTIONS)
        snapshots_pb2_grpc.add_SnapshotsServicer_to_server(EmptyServicer(), server)
        server.add_insecure_port(address)
        server.start()
    threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
