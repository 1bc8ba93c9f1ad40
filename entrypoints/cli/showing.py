"""The status of the daemon as text and as JSON."""

import json
import time
from collections.abc import Iterable, Sequence
from typing import Literal

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2

from ..recipe import in_bytes

_STATES = {
    admin_pb2.Circuit.STATE_CLOSED: "closed",
    admin_pb2.Circuit.STATE_OPEN: "open",
    admin_pb2.Circuit.STATE_TRYING: "trying",
}
_KINDS = ("active", "view", "committed")
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def is_up(source: admin_pb2.Source) -> bool:
    """Tell whether a source is asked for layers."""
    return source.circuit.state == admin_pb2.Circuit.STATE_CLOSED


def json_of(status: admin_pb2.StatusResponse) -> str:
    """Give a status as one JSON object.

    Times are seconds, sizes bytes, moments RFC 3339 in UTC; what is not known is null.
    """
    return json.dumps(
        {
            "version": status.version,
            "root": status.root,
            "started_at": status.started_at.ToJsonString(),
            "sources": [_source(source) for source in status.sources],
            "snapshots": [
                {"kind": each.kind, "source": each.source or None, "count": each.count}
                for each in status.snapshots
            ],
            "tombstones": status.tombstones,
            "probes": status.probes,
            "stuck_probes": status.stuck_probes,
            "schema": status.schema or None,
            "disk": {
                "records": _known(status.disk, "records"),
                "free": _known(status.disk, "free"),
                "total": _known(status.disk, "total"),
            },
        },
        indent=2,
    )


def _known(disk: admin_pb2.Disk, name: Literal["records", "free", "total"]) -> int | None:
    return int(getattr(disk, name)) if disk.HasField(name) else None


def _source(source: admin_pb2.Source) -> dict[str, object]:
    circuit = source.circuit
    return {
        "name": source.name,
        "kind": source.kind,
        "repository": source.repository or None,
        "path": source.path,
        "host_path": source.host_path,
        "up": is_up(source),
        "circuit": {
            "state": _STATES.get(circuit.state, "unknown"),
            "age_seconds": _seconds(circuit.age),
            "cause": _error(circuit.cause) if circuit.HasField("cause") else None,
            "failures": circuit.failures,
            "tries": circuit.tries,
            "next_try_seconds": _seconds(circuit.next_try)
            if circuit.HasField("next_try")
            else None,
            "layers_at_fault": circuit.suspects,
        },
        "last_error": (
            {**_error(source.last_error), "at": source.last_error.at.ToJsonString()}
            if source.HasField("last_error")
            else None
        ),
        "revision": source.revision if source.HasField("revision") else None,
        "keep_mounted": source.keep_mounted,
        "held": source.held,
    }


def _error(error: admin_pb2.Error) -> dict[str, object]:
    return {"reason": error.reason, "detail": error.detail}


def _seconds(duration: Duration) -> float:
    return round(duration.ToNanoseconds() / 1e9, 3)


def text_of(status: admin_pb2.StatusResponse) -> str:
    """Give a status as text for people."""
    lines = [
        f"cvmfs-snapshotter {status.version}, up {_since(status.started_at)}, root {status.root}",
        "",
        *_table(
            ("SOURCE", "STATE", "HELD", "REVISION", "PATH"),
            [_row(source) for source in status.sources],
        ),
    ]
    for source in status.sources:
        lines += _troubles(source)
    stuck = f", {status.stuck_probes} of them stuck" if status.stuck_probes else ""
    lines += [
        "",
        *_snapshots(status),
        "",
        f"removed snapshots that wait for Cleanup: {status.tombstones}",
        f"processes that look at sources: {status.probes + status.stuck_probes}{stuck}",
        *_room(status),
    ]
    return "\n".join(lines)


def _room(status: admin_pb2.StatusResponse) -> list[str]:
    disk = status.disk
    size = in_bytes(disk.records) if disk.HasField("records") else "size unknown"
    room = "unknown"
    if disk.HasField("free") and disk.HasField("total"):
        room = f"{in_bytes(disk.free)} free of {in_bytes(disk.total)}"
    return [
        f"records: schema {status.schema or 'unknown'}, {size}",
        f"disk of the state directory: {room}",
    ]


def _row(source: admin_pb2.Source) -> tuple[str, ...]:
    state = "up" if is_up(source) else "down"
    held = "yes" if source.held else "no" if source.keep_mounted else "off"
    revision = str(source.revision) if source.HasField("revision") else "-"
    return source.name, state, held, revision, source.path


def _troubles(source: admin_pb2.Source) -> list[str]:
    circuit = source.circuit
    found = []
    if circuit.HasField("cause"):
        what = f"{source.name}: {circuit.cause.reason}: {circuit.cause.detail}"
        if is_up(source):
            found.append(f"{what}; the next failure opens its circuit")
        else:
            coming = "it is being tried"
            if circuit.HasField("next_try"):
                coming = f"next try in {_span(_seconds(circuit.next_try))}"
            found.append(
                f"{what}; not asked for {_span(_seconds(circuit.age))}, tried "
                f"{circuit.tries} times, {coming}"
            )
    elif source.HasField("last_error"):
        error = source.last_error
        found.append(
            f"{source.name}: last error {_since(error.at)} ago: {error.reason}: {error.detail}"
        )
    if circuit.suspects:
        found.append(f"{source.name}: {circuit.suspects} layers are at fault themselves")
    return found


def _snapshots(status: admin_pb2.StatusResponse) -> list[str]:
    counts = {(each.source, each.kind): each.count for each in status.snapshots}
    sources = dict.fromkeys(["", *(source.name for source in status.sources)])
    sources.update(dict.fromkeys(each.source for each in status.snapshots))
    rows = [
        (source or "(local)", *(str(counts.get((source, kind), 0)) for kind in _KINDS))
        for source in sources
    ]
    return _table(("SNAPSHOTS", *(kind.upper() for kind in _KINDS)), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _since(moment: Timestamp) -> str:
    return _span(max(time.time() - moment.ToNanoseconds() / 1e9, 0.0))


def _span(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
