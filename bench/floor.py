"""The floor: a server like ours whose handlers do nothing.

What it costs is grpcio's; what our daemon costs beyond that is ours.
"""

# Names and arguments of the methods are given by the generated base class.
# ruff: noqa: ARG002, N802

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.empty_pb2 import Empty

from cvmfs_snapshotter.entrypoints.rpc.server import OPTIONS, THREADS
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
    """Serve on the socket that the first argument names, until killed."""
    server = grpc.server(ThreadPoolExecutor(THREADS), options=OPTIONS)
    snapshots_pb2_grpc.add_SnapshotsServicer_to_server(EmptyServicer(), server)
    server.add_insecure_port(f"unix:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()
    return 0


if __name__ == "__main__":
    sys.exit(main())
