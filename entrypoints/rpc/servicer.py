"""The service ``containerd.services.snapshots.v1.Snapshots``.

Errors of the domain pass through here: ``guard`` gives them their status. What containerd sends as
``snapshotter`` is the name of its plugin and ignored, as its own service does.
"""

# Names and arguments of the methods are given by the generated base class.
# ruff: noqa: ARG002, N802

from collections.abc import Iterator

import grpc
from google.protobuf.empty_pb2 import Empty

from cvmfs_snapshotter.domain.errors import InvalidArgumentError
from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import (
    snapshots_pb2,
    snapshots_pb2_grpc,
)

from . import convert


class SnapshotsServicer(snapshots_pb2_grpc.SnapshotsServicer):
    """Translates between the wire and a ``Snapshotter``."""

    def __init__(self, snapshotter: Snapshotter) -> None:
        """Start with the snapshotter that does the work."""
        self._snapshotter = snapshotter

    def Prepare(
        self, request: snapshots_pb2.PrepareSnapshotRequest, context: grpc.ServicerContext
    ) -> snapshots_pb2.PrepareSnapshotResponse:
        """See ``Snapshotter.prepare``."""
        made = self._snapshotter.prepare(request.key, request.parent, dict(request.labels))
        return snapshots_pb2.PrepareSnapshotResponse(mounts=convert.mounts(made))

    def View(
        self, request: snapshots_pb2.ViewSnapshotRequest, context: grpc.ServicerContext
    ) -> snapshots_pb2.ViewSnapshotResponse:
        """See ``Snapshotter.view``."""
        made = self._snapshotter.view(request.key, request.parent, dict(request.labels))
        return snapshots_pb2.ViewSnapshotResponse(mounts=convert.mounts(made))

    def Mounts(
        self, request: snapshots_pb2.MountsRequest, context: grpc.ServicerContext
    ) -> snapshots_pb2.MountsResponse:
        """See ``Snapshotter.mounts``."""
        found = self._snapshotter.mounts(request.key)
        return snapshots_pb2.MountsResponse(mounts=convert.mounts(found))

    def Commit(
        self, request: snapshots_pb2.CommitSnapshotRequest, context: grpc.ServicerContext
    ) -> Empty:
        """See ``Snapshotter.commit``."""
        self._snapshotter.commit(request.name, request.key, dict(request.labels), request.parent)
        return Empty()

    def Remove(
        self, request: snapshots_pb2.RemoveSnapshotRequest, context: grpc.ServicerContext
    ) -> Empty:
        """See ``Snapshotter.remove``."""
        self._snapshotter.remove(request.key)
        return Empty()

    def Stat(
        self, request: snapshots_pb2.StatSnapshotRequest, context: grpc.ServicerContext
    ) -> snapshots_pb2.StatSnapshotResponse:
        """See ``Snapshotter.stat``."""
        found = self._snapshotter.stat(request.key)
        answer = snapshots_pb2.StatSnapshotResponse()
        convert.info(found, answer.info)
        return answer

    def Update(
        self, request: snapshots_pb2.UpdateSnapshotRequest, context: grpc.ServicerContext
    ) -> snapshots_pb2.UpdateSnapshotResponse:
        """See ``Snapshotter.update``."""
        if not request.HasField("info"):
            raise InvalidArgumentError("the request has no info: there is nothing to update")
        updated = self._snapshotter.update(
            request.info.name, dict(request.info.labels), tuple(request.update_mask.paths)
        )
        return snapshots_pb2.UpdateSnapshotResponse(info=convert.info(updated))

    def List(
        self, request: snapshots_pb2.ListSnapshotsRequest, context: grpc.ServicerContext
    ) -> Iterator[snapshots_pb2.ListSnapshotsResponse]:
        """See ``Snapshotter.list``."""
        for batch in self._snapshotter.list(tuple(request.filters)):
            if not context.is_active():
                # The client is gone; nobody would read what is still to come.
                return
            yield from convert.pages(batch)

    def Usage(
        self, request: snapshots_pb2.UsageRequest, context: grpc.ServicerContext
    ) -> snapshots_pb2.UsageResponse:
        """See ``Snapshotter.usage``."""
        used = self._snapshotter.usage(request.key)
        return snapshots_pb2.UsageResponse(size=used.size, inodes=used.inodes)

    def Cleanup(
        self, request: snapshots_pb2.CleanupRequest, context: grpc.ServicerContext
    ) -> Empty:
        """See ``Snapshotter.cleanup``."""
        self._snapshotter.cleanup()
        return Empty()
