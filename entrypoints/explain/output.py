"""Explanations for people and for machines."""

import json
from collections.abc import Iterator

import attrs

from cvmfs_snapshotter.domain.layer import Digest, Reason

from ..recipe import in_bytes, moment
from .found import Explained, ExplainedLayer, ExplainedSnapshot, Remembered, Verdict


def as_json(found: Explained) -> str:
    """Give an explanation as one JSON object.

    Moments are RFC 3339 in UTC; what is not known, or does not exist, is null.
    """
    plain = attrs.asdict(found, value_serializer=_plain)
    for layer, written in zip(found.layers, plain["layers"], strict=True):
        written["source"] = layer.source or None
    for snapshot, written in zip(found.snapshots, plain["snapshots"], strict=True):
        if snapshot.layer is not None:
            written["layer"]["source"] = snapshot.layer.source or None
    return json.dumps({**plain, "complete": found.complete}, indent=2)


def _plain(instance: object, field: object, value: object) -> object:
    if isinstance(instance, Remembered) and field is attrs.fields(Remembered).last_seen_at:
        return moment(instance.last_seen_at)
    if isinstance(value, Digest):
        return str(value)
    # Texts of an explanation are empty where there is nothing to say.
    return None if value == "" else value


def as_text(found: Explained) -> str:
    """Give an explanation as text for people."""
    return "\n".join(_lines(found))


def _lines(found: Explained) -> Iterator[str]:
    platform = f" for {found.platform}" if found.platform else ""
    yield f"{found.subject} {found.name}{platform}, known from {found.origin}"
    for number, layer in enumerate(found.layers, 1):
        yield ""
        yield from _layer(f"layer {number}" if found.subject == "image" else "layer", layer)
    for snapshot in found.snapshots:
        yield ""
        yield from _snapshot(snapshot)
    if found.layers:
        yield ""
        yield _sum(found)
    for remark in found.remarks:
        yield f"note: {remark}"


def _layer(title: str, layer: ExplainedLayer) -> Iterator[str]:
    size = f", {in_bytes(layer.size)}" if layer.size is not None else ""
    yield f"{title}: {layer.digest}{size}: {_result(layer)}"
    yield from _about(layer)


def _result(layer: ExplainedLayer) -> str:
    return f"from source {layer.source!r}" if layer.source else "downloaded"


def _about(layer: ExplainedLayer) -> Iterator[str]:
    for verdict in layer.verdicts:
        yield f"  {_verdict(verdict)}"
    if layer.never and not layer.source:
        yield f"  never published: {layer.never}"
    for missed in layer.remembered:
        last = moment(missed.last_seen_at)
        yield f"  remembered misses: {missed.reason}, {missed.count}, the last at {last}"
    for here in layer.here:
        what = f"on source {here.source!r}" if here.source else "local"
        yield f"  here: snapshot {here.name!r}, {what}"


def _verdict(verdict: Verdict) -> str:
    parts = [f"{verdict.source}: {verdict.reason}"]
    if verdict.detail:
        parts.append(verdict.detail)
    if verdict.reason == Reason.HIT.value and verdict.entries is not None:
        parts.append(f"{verdict.entries} entries")
    if verdict.path:
        parts.append(verdict.path)
    if verdict.circuit:
        parts.append(f"but the daemon does not ask it: {verdict.circuit}")
    return "; ".join(parts)


def _snapshot(snapshot: ExplainedSnapshot) -> Iterator[str]:
    where = f"on source {snapshot.source!r}" if snapshot.source else "local"
    reason = f" ({snapshot.reason})" if snapshot.reason else ""
    yield f"{snapshot.kind} {snapshot.name!r}, {where}: {snapshot.decision}{reason}"
    if snapshot.layer is not None:
        yield f"  layer {snapshot.layer.digest}; now:"
        yield from _about(snapshot.layer)


def _sum(found: Explained) -> str:
    missing = [layer for layer in found.layers if not layer.source]
    if not missing:
        return "everything comes from a source"
    sizes = [layer.size for layer in missing if layer.size is not None]
    size = f", {in_bytes(sum(sizes))}" if sizes else ""
    return f"{len(missing)} of {len(found.layers)} layers would be downloaded{size}"
