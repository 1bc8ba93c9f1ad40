"""Between the words of the domain and the messages on the wire."""

from collections.abc import Iterable, Iterator, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2
from cvmfs_snapshotter.proto.containerd.types import mount_pb2

_NANOSECONDS = 1_000_000_000

_KINDS = {
    Kind.VIEW: snapshots_pb2.VIEW,
    Kind.ACTIVE: snapshots_pb2.ACTIVE,
    Kind.COMMITTED: snapshots_pb2.COMMITTED,
}

_MESSAGE_BYTES = 4 * 1024 * 1024


def timestamp(nanoseconds: int) -> Timestamp:
    """Give a moment as protobuf has it, to the nanosecond.

    Args:
        nanoseconds: since the epoch, UTC.
    """
    seconds, rest = divmod(nanoseconds, _NANOSECONDS)
    return Timestamp(seconds=seconds, nanos=rest)


def info(snapshot: Snapshot) -> snapshots_pb2.Info:
    """Give the record of a snapshot as containerd reads it."""
    return snapshots_pb2.Info(
        name=snapshot.name,
        parent=snapshot.parent,
        kind=_KINDS[snapshot.kind],
        created_at=timestamp(snapshot.created_at),
        updated_at=timestamp(snapshot.updated_at),
        labels=snapshot.labels,
    )


def mounts(of: Iterable[Mount]) -> list[mount_pb2.Mount]:
    """Give mounts as containerd reads them."""
    return [
        mount_pb2.Mount(type=mount.type, source=mount.source, options=mount.options)
        for mount in of
    ]


def pages(batch: Sequence[Snapshot]) -> Iterator[snapshots_pb2.ListSnapshotsResponse]:
    """Give a batch of a List as messages, one if it is not exceptionally large.

    Labels may be many, and containerd takes no message above 16 MiB.
    """
    page = snapshots_pb2.ListSnapshotsResponse()
    size = 0
    for snapshot in batch:
        record = info(snapshot)
        if size and size + record.ByteSize() > _MESSAGE_BYTES:
            yield page
            page, size = snapshots_pb2.ListSnapshotsResponse(), 0
        page.info.append(record)
        size += record.ByteSize()
    if size:
        yield page
