"""Snapshots of a snapshotter in Go, as they are found, and what becomes of them here."""

from collections.abc import Mapping
from enum import Enum

import attrs

from .companions import Plan
from .snapshot import Kind, Snapshot, Usage

REMOTE = "containerd.io/snapshot/remote"
"""Label by which the Go snapshotter knows its remote snapshots (stargz-snapshotter,
``snapshot/snapshot.go``)."""


@attrs.frozen
class Recorded:
    """A snapshot as containerd's ``core/snapshots/storage`` records it.

    Attributes:
        identifier: number of its directory.
        name: key of an active snapshot or view, name of a committed one.
        parent: name of what it stands on; empty for nothing.
        kind: see ``Kind``.
        created_at: nanoseconds since the epoch, UTC.
        updated_at: nanoseconds since the epoch, UTC.
        labels: all of them.
        usage: as recorded when it was committed.
    """

    identifier: int
    name: str
    parent: str
    kind: Kind
    created_at: int
    updated_at: int
    labels: Mapping[str, str]
    usage: Usage


class Files(Enum):
    """What is at the place of a snapshot's files."""

    THERE = "there"
    EMPTY = "empty"
    MOUNTED = "mounted"
    GONE = "gone"


class Obstacle(Enum):
    """Why a snapshot cannot be taken over; the value stands in what the command prints."""

    NO_LAYER = "no-layer"
    SOURCE = "source"
    FILES_GONE = "files-gone"
    HALF_MADE = "half-made"
    BAD_RECORD = "bad-record"
    ABOVE = "above"


@attrs.frozen
class Imported:
    """A snapshot that is taken over.

    Attributes:
        snapshot: as it will be recorded; the number of its companion is not known yet.
        plan: the companion that a remote one needs; empty for none.
        directory: whether it has a directory that comes along.
    """

    snapshot: Snapshot
    plan: Plan
    directory: bool


@attrs.frozen
class LeftOut:
    """A snapshot that is not taken over.

    Attributes:
        record: what was found.
        obstacle: why, by class.
        detail: why, in words.
        final: whether nothing will change that, so that it may be left behind.
    """

    record: Recorded
    obstacle: Obstacle
    detail: str
    final: bool


@attrs.frozen
class ImportPlan:
    """What an import does.

    Attributes:
        imported: what is taken over, parents first.
        left_out: what is not.
    """

    imported: tuple[Imported, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def directories(self) -> tuple[int, ...]:
        """Identifiers whose directories come along."""
        return tuple(i.snapshot.identifier for i in self.imported if i.directory)
