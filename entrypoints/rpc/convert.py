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
    moment = Timestamp()
    _set_time(moment, nanoseconds)
    return moment


def info(snapshot: Snapshot, into: snapshots_pb2.Info | None = None) -> snapshots_pb2.Info:
    """Give the record of a snapshot as containerd reads it.

    Args:
        snapshot: the snapshot; its times are nanoseconds since the epoch, UTC.
        into: an empty part of a message, to be filled in place of a new one.
    """
    # Field by field, in place: messages made apart are copied when they become part of another.
    record = snapshots_pb2.Info() if into is None else into
    record.name = snapshot.name
    record.parent = snapshot.parent
    record.kind = _KINDS[snapshot.kind]
    labels = record.labels
    for name, value in snapshot.labels.items():
        labels[name] = value
    _set_time(record.created_at, snapshot.created_at)
    _set_time(record.updated_at, snapshot.updated_at)
    return record


def _set_time(moment: Timestamp, nanoseconds: int) -> None:
    moment.seconds, moment.nanos = divmod(nanoseconds, _NANOSECONDS)


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
        record = info(snapshot, page.info.add())
        grown = record.ByteSize()
        if size and size + grown > _MESSAGE_BYTES:
            following = snapshots_pb2.ListSnapshotsResponse(info=[record])
            del page.info[-1]
            yield page
            page, size = following, 0
        size += grown
    if size:
        yield page
