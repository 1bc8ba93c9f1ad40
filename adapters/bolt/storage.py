"""Snapshots as containerd's ``core/snapshots/storage`` keeps them (``bolt.go`` there).

Its own overlayfs uses it, and so do the snapshotters in Go that were made from that one. The
layout: ``v1/snapshots/<key>`` with the values id, kind, parent, createdat, updatedat, inodes and
size and the bucket labels. It has not changed since containerd 1.0.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from cvmfs_snapshotter.domain.importing import Recorded
from cvmfs_snapshotter.domain.snapshot import Kind, Usage

from .reader import BoltError, Bucket, open_bolt

_KINDS = {1: Kind.VIEW, 2: Kind.ACTIVE, 3: Kind.COMMITTED}

_TIME = struct.Struct(">Bqih")
"""Go's ``time.MarshalBinary``: version, seconds since the year 1, nanoseconds, offset in minutes;
from version 2 on the seconds of the offset follow, which do not matter for the moment either."""

_TIME_VERSIONS = (1, 2)
_EPOCH = 62_135_596_800
"""Seconds from the year 1 to 1970."""

_SECOND = 1_000_000_000
_MOST = 2**63 - 1
_VARINT_BITS = 7
_VARINT_BYTES = 10


def read_storage(path: Path) -> tuple[Recorded, ...]:
    """Read all snapshots.

    Args:
        path: of the database.

    Returns:
        The snapshots, in the order of their keys.

    Raises:
        BoltError: it is no sound database, or a snapshot in it cannot be understood.
        OSError: it cannot be read.
    """
    snapshots = open_bolt(path).bucket(b"v1", b"snapshots")
    return () if snapshots is None else tuple(_snapshots(snapshots))


def _snapshots(bucket: Bucket) -> Iterator[Recorded]:
    for key, fields in bucket.buckets():
        try:
            yield _snapshot(key, fields)
        except (ValueError, struct.error) as error:
            raise BoltError(f"snapshot {key!r} cannot be understood: {error}") from error


def _snapshot(key: bytes, fields: Bucket) -> Recorded:
    kind = fields.value(b"kind") or b""
    if len(kind) != 1 or kind[0] not in _KINDS:
        raise ValueError(f"its kind is {kind!r}")
    labels = fields.bucket(b"labels")
    return Recorded(
        identifier=uvarint(fields.value(b"id") or b""),
        name=key.decode(),
        parent=(fields.value(b"parent") or b"").decode(),
        kind=_KINDS[kind[0]],
        created_at=go_time(fields.value(b"createdat") or b""),
        updated_at=go_time(fields.value(b"updatedat") or b""),
        labels={k.decode(): v.decode() for k, v in labels.values()} if labels else {},
        usage=Usage(
            size=varint(fields.value(b"size") or b"\0"),
            inodes=varint(fields.value(b"inodes") or b"\0"),
        ),
    )


def go_time(data: bytes) -> int:
    """Read a moment.

    Args:
        data: as Go's ``time.MarshalBinary`` writes it.

    Returns:
        Nanoseconds since the epoch.

    Raises:
        ValueError: it is none, or too far away to be counted so.
        struct.error: it is too short.
    """
    version, seconds, nanoseconds, _offset = _TIME.unpack(data[: _TIME.size])
    moment: int = (seconds - _EPOCH) * _SECOND + nanoseconds
    if version not in _TIME_VERSIONS or abs(moment) > _MOST:
        raise ValueError(f"{data!r} is no time")
    return moment


def uvarint(data: bytes) -> int:
    """Read a number as Go's ``binary.PutUvarint`` writes it.

    Raises:
        ValueError: the number does not end, or is greater than identifiers get.
    """
    value = 0
    for place, byte in enumerate(data[:_VARINT_BYTES]):
        value |= (byte & 0x7F) << (_VARINT_BITS * place)
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            if value > _MOST:
                break
            return value
    raise ValueError(f"{data!r} is no number")


def varint(data: bytes) -> int:
    """Read a number with a sign as Go's ``binary.PutVarint`` writes it.

    Raises:
        ValueError: the number does not end, or is too great.
    """
    folded = uvarint(data)
    return folded >> 1 if folded & 1 == 0 else -(folded >> 1) - 1
