"""The service ``cvmfs_snapshotter.admin.v1.Admin``: translation only."""

# Names and arguments of the methods are given by the generated base class.
# ruff: noqa: ARG002, N802

import grpc
from google.protobuf.duration_pb2 import Duration

from cvmfs_snapshotter.domain.circuit import Cause, State
from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2, admin_pb2_grpc

from ..overview import Overseer, Overview, SourceOverview
from .convert import timestamp

_STATES = {
    State.CLOSED: admin_pb2.Circuit.STATE_CLOSED,
    State.OPEN: admin_pb2.Circuit.STATE_OPEN,
    State.TRYING: admin_pb2.Circuit.STATE_TRYING,
}


class AdminServicer(admin_pb2_grpc.AdminServicer):
    """Translates between the wire and an ``Overseer``."""

    def __init__(self, overseer: Overseer) -> None:
        """Start with the one that knows the daemon."""
        self._overseer = overseer

    def Status(
        self, request: admin_pb2.StatusRequest, context: grpc.ServicerContext
    ) -> admin_pb2.StatusResponse:
        """See ``Overseer.overview``."""
        return _status(self._overseer.overview())

    def Hold(
        self, request: admin_pb2.HoldRequest, context: grpc.ServicerContext
    ) -> admin_pb2.HoldResponse:
        """See ``Overseer.hold``."""
        self._overseer.hold(request.source)
        return admin_pb2.HoldResponse()

    def Release(
        self, request: admin_pb2.ReleaseRequest, context: grpc.ServicerContext
    ) -> admin_pb2.ReleaseResponse:
        """See ``Overseer.release``."""
        return admin_pb2.ReleaseResponse(released=self._overseer.release(request.source))

    def add_to(self, server: grpc.Server) -> None:
        """Serve it."""
        admin_pb2_grpc.add_AdminServicer_to_server(self, server)


def _status(overview: Overview) -> admin_pb2.StatusResponse:
    return admin_pb2.StatusResponse(
        version=overview.version,
        root=overview.root,
        started_at=timestamp(overview.started_at),
        sources=[_source(source) for source in overview.sources],
        snapshots=[
            admin_pb2.SnapshotCount(kind=kind.value, source=source, count=count)
            for (kind, source), count in sorted(
                overview.census.snapshots.items(), key=lambda item: (item[0][1], item[0][0].value)
            )
        ],
        tombstones=overview.census.tombstones,
        probes=overview.probes,
        stuck_probes=overview.stuck_probes,
        schema=overview.schema,
        disk=admin_pb2.Disk(
            records=overview.disk.records,
            free=overview.disk.free,
            total=overview.disk.total,
        ),
    )


def _source(source: SourceOverview) -> admin_pb2.Source:
    settings, standing = source.settings, source.standing
    error = None
    if standing.last_error is not None:
        error = _error(standing.last_error)
        error.at.CopyFrom(timestamp(standing.last_error_at))
    circuit = standing.circuit
    return admin_pb2.Source(
        name=settings.name,
        kind=settings.kind.value,
        repository=settings.repository,
        path=settings.path,
        host_path=settings.host_path,
        circuit=admin_pb2.Circuit(
            state=_STATES[circuit.state],
            age=_duration(standing.age),
            cause=None if circuit.cause is None else _error(circuit.cause),
            failures=circuit.failures,
            tries=circuit.tries,
            next_try=None if standing.next_try is None else _duration(standing.next_try),
            suspects=len(circuit.suspects),
        ),
        last_error=error,
        revision=source.revision,
        keep_mounted=source.keep_mounted,
        held=source.held,
    )


def _error(cause: Cause) -> admin_pb2.Error:
    return admin_pb2.Error(reason=cause.reason.value, detail=cause.detail)


def _duration(seconds: float) -> Duration:
    made = Duration()
    made.FromNanoseconds(int(seconds * 1_000_000_000))
    return made
