"""A snapshotter behind a socket: the client's side of every call, errors turned back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import grpc

from cvmfs_snapshotter.domain import errors
from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot, Usage
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import (
    snapshots_pb2,
    snapshots_pb2_grpc,
)

T = TypeVar("T")

_ERRORS = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgumentError,
    grpc.StatusCode.NOT_FOUND: errors.NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExistsError,
    grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPreconditionError,
    grpc.StatusCode.UNAVAILABLE: errors.UnavailableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.ResourceExhaustedError,
}
_KINDS = {
    snapshots_pb2.VIEW: Kind.VIEW,
    snapshots_pb2.ACTIVE: Kind.ACTIVE,
    snapshots_pb2.COMMITTED: Kind.COMMITTED,
}
_SECONDS = 30.0
_NAME = "cvmfs-snapshotter"


class WireSnapshotter:
    """Implements ``Snapshotter`` by asking a server.

    A record that came over the wire has no identifiers and no layer: containerd learns none.
    """

    def __init__(self, socket: Path) -> None:
        """Connect to the server at ``socket``."""
        self.channel = grpc.insecure_channel(
            f"unix://{socket}",
            options=[("grpc.max_receive_message_length", 16 << 20)],
        )
        self.stub = snapshots_pb2_grpc.SnapshotsStub(self.channel)

    def close(self) -> None:
        """Close the connection."""
        self.channel.close()

    def prepare(self, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        """See ``Snapshotter.prepare``."""
        request = snapshots_pb2.PrepareSnapshotRequest(
            snapshotter=_NAME, key=key, parent=parent, labels=labels
        )
        return _mounts(_call(lambda: self.stub.Prepare(request, timeout=_SECONDS)).mounts)

    def view(self, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        """See ``Snapshotter.view``."""
        request = snapshots_pb2.ViewSnapshotRequest(
            snapshotter=_NAME, key=key, parent=parent, labels=labels
        )
        return _mounts(_call(lambda: self.stub.View(request, timeout=_SECONDS)).mounts)

    def mounts(self, key: str) -> tuple[Mount, ...]:
        """See ``Snapshotter.mounts``."""
        request = snapshots_pb2.MountsRequest(snapshotter=_NAME, key=key)
        return _mounts(_call(lambda: self.stub.Mounts(request, timeout=_SECONDS)).mounts)

    def commit(self, name: str, key: str, labels: Mapping[str, str], parent: str = "") -> None:
        """See ``Snapshotter.commit``."""
        request = snapshots_pb2.CommitSnapshotRequest(
            snapshotter=_NAME, name=name, key=key, labels=labels, parent=parent
        )
        _call(lambda: self.stub.Commit(request, timeout=_SECONDS))

    def remove(self, key: str) -> None:
        """See ``Snapshotter.remove``."""
        request = snapshots_pb2.RemoveSnapshotRequest(snapshotter=_NAME, key=key)
        _call(lambda: self.stub.Remove(request, timeout=_SECONDS))

    def stat(self, key: str) -> Snapshot:
        """See ``Snapshotter.stat``."""
        request = snapshots_pb2.StatSnapshotRequest(snapshotter=_NAME, key=key)
        return _snapshot(_call(lambda: self.stub.Stat(request, timeout=_SECONDS)).info)

    def update(self, name: str, labels: Mapping[str, str], paths: Sequence[str]) -> Snapshot:
        """See ``Snapshotter.update``."""
        request = snapshots_pb2.UpdateSnapshotRequest(
            snapshotter=_NAME, info=snapshots_pb2.Info(name=name, labels=labels)
        )
        request.update_mask.paths.extend(paths)
        return _snapshot(_call(lambda: self.stub.Update(request, timeout=_SECONDS)).info)

    def list(self, filters: Sequence[str]) -> Iterator[Sequence[Snapshot]]:
        """See ``Snapshotter.list``; the whole answer is read before it is given."""
        request = snapshots_pb2.ListSnapshotsRequest(snapshotter=_NAME, filters=filters)
        answers = _call(lambda: [*self.stub.List(request, timeout=_SECONDS)])
        return iter([[_snapshot(info) for info in answer.info] for answer in answers])

    def usage(self, key: str) -> Usage:
        """See ``Snapshotter.usage``."""
        request = snapshots_pb2.UsageRequest(snapshotter=_NAME, key=key)
        answer = _call(lambda: self.stub.Usage(request, timeout=_SECONDS))
        return Usage(answer.size, answer.inodes)

    def cleanup(self) -> None:
        """See ``Snapshotter.cleanup``."""
        request = snapshots_pb2.CleanupRequest(snapshotter=_NAME)
        _call(lambda: self.stub.Cleanup(request, timeout=_SECONDS))


def _call(call: Callable[[], T]) -> T:
    try:
        return call()
    except grpc.RpcError as error:
        _raise(error)


def _raise(error: grpc.RpcError) -> NoReturn:
    code, details = error.code(), error.details()
    if code not in _ERRORS:
        raise error
    raise _ERRORS[code](details) from None


def _mounts(mounts: object) -> tuple[Mount, ...]:
    return tuple(
        Mount(m.type, m.source, tuple(m.options))
        for m in mounts  # type: ignore[attr-defined]
    )


def _snapshot(info: snapshots_pb2.Info) -> Snapshot:
    return Snapshot(
        identifier=0,
        name=info.name,
        parent_identifier=0,
        parent=info.parent,
        kind=_KINDS[info.kind],
        created_at=info.created_at.ToNanoseconds(),
        updated_at=info.updated_at.ToNanoseconds(),
        labels=dict(info.labels),
    )
