from collections.abc import Mapping

import pytest

from cvmfs_snapshotter.adapters.memory import MemorySources, MemoryStore
from cvmfs_snapshotter.adapters.tracing.events import SpanEvents
from cvmfs_snapshotter.adapters.tracing.sources import TracedSources
from cvmfs_snapshotter.adapters.tracing.store import TracedStore
from cvmfs_snapshotter.adapters.tracing.texts import MAX_TEXT
from cvmfs_snapshotter.domain.circuit import Cause, Operation
from cvmfs_snapshotter.domain.errors import NotFoundError, SnapshotterError, UnavailableError
from cvmfs_snapshotter.domain.events import (
    CircuitOpened,
    CleanedUp,
    DirectoryKept,
    Event,
    LayerDecided,
    LayerUnreachable,
    SnapshotCommitted,
)
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason, Trouble

from .recording import Recording

LAYER = Layer("unpacked", Digest("a" * 64))
OTHER = Layer("nfs", Digest("b" * 64))
OURS = "cvmfs_snapshotter."
DECIDED = LayerDecided("key", "", "sha256:t", "sha256:d", Miss(Reason.ABSENT, ""), 2.0)
EVENTS: list[Event] = [
    DECIDED,
    CleanedUp(1, 2, 0.5),
    DirectoryKept(7, "busy"),
    LayerUnreachable("key", Trouble(LAYER, "/path", Reason.SLOW, "no answer")),
    CircuitOpened("unpacked", Cause(Operation.LOOK_UP, Reason.SLOW, "no answer"), 2, 1.0),
    SnapshotCommitted(3),
]


def _ours(attributes: Mapping[str, object]) -> dict[str, object]:
    """Give the attributes that are ours, without what all their names begin with."""
    return {key.removeprefix(OURS): value for key, value in attributes.items()}


def test_transactions() -> None:
    """Each transaction of a call is a span with its kind."""
    recording = Recording()
    store = TracedStore(MemoryStore(), recording.inner)
    with recording.call():
        store.read(lambda records: records.census())
        store.write(lambda _: None, frees=True)

    assert ["database read", "database write", "call"] == recording.names()
    expected = {"db.system.name": "sqlite", "db.operation.name": "read"}
    assert (expected, None) == recording.one("database read")
    read, write, call = recording.ended
    assert call.context is not None
    assert {call.context.span_id} == {one.parent.span_id for one in (read, write) if one.parent}


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (NotFoundError("no snapshot"), None),
        (UnavailableError("locked"), "locked"),
        (ValueError("a defect"), "a defect"),
    ],
)
def test_transactions_that_fail(error: Exception, failed: str | None) -> None:
    """What the records say is no failure of theirs; trouble and defects are."""
    recording = Recording()
    store = TracedStore(MemoryStore(), recording.inner)

    def fail(_: object) -> None:
        raise error

    with recording.call(), pytest.raises(type(error)):
        store.write(fail)

    attributes, problem = recording.one("database write")
    assert failed == problem
    assert ("error.type" in attributes) is (failed is not None)
    assert isinstance(error, SnapshotterError) or "ValueError" == attributes["error.type"]


def test_probes() -> None:
    """Each question to a source is a span that says what was asked and what came of it."""
    recording = Recording()
    inner = MemorySources(["unpacked", "nfs"])
    inner.publish("nfs", OTHER.digest)
    inner.faults["unpacked"] = Reason.SLOW
    sources = TracedSources(inner, recording.inner)
    with recording.call():
        missed = sources.look(LAYER, 1e9)
        trouble = sources.check((OTHER, LAYER), 1e9)

    assert isinstance(missed, Miss)
    assert isinstance(trouble, Trouble)
    attributes, problem = recording.one("probe look")
    about = {"source": "unpacked", "layers": 1, "digest": str(LAYER.digest), "reason": "slow"}
    assert about.items() <= _ours(attributes).items()
    assert (missed.detail or "slow") == problem
    attributes, problem = recording.one("probe check")
    assert {"source": "nfs unpacked", "layers": 2}.items() <= _ours(attributes).items()
    assert (trouble.detail or "slow") == problem


def test_answers_of_probes() -> None:
    """A hit says that it is one, and an absent layer is an answer, not a failure."""
    recording = Recording()
    inner = MemorySources(["nfs"])
    inner.publish("nfs", OTHER.digest)
    sources = TracedSources(inner, recording.inner)
    with recording.call():
        sources.look(OTHER, 1e9)
        sources.scan(OTHER, lambda _: None)
        sources.directories_below([b"etc"], [OTHER, "/local"])
    hit, problem = recording.one("probe look")
    assert ("hit", None) == (_ours(hit)["reason"], problem)
    assert ["probe look", "probe scan", "probe compare", "call"] == recording.names()

    recording.ended.clear()
    with recording.call():
        sources.look(Layer("nfs", LAYER.digest), 1e9)
    absent, problem = recording.one("probe look")
    assert ("absent", None) == (_ours(absent)["reason"], problem)


def test_a_look_up_with_what_is_below() -> None:
    """One span for both names the layer that is asked for, and counts all that are looked at."""
    recording = Recording()
    inner = MemorySources(["nfs"])
    wanted = Layer("nfs", LAYER.digest)
    for layer in (OTHER, wanted):
        inner.publish("nfs", layer.digest)
    with recording.call():
        TracedSources(inner, recording.inner).look_above(wanted, (OTHER,), 1e9)

    attributes, _ = recording.one("probe look")
    about = {"source": "nfs", "layers": 2, "digest": str(wanted.digest), "reason": "hit"}
    assert about.items() <= _ours(attributes).items()


@pytest.mark.parametrize(
    ("outcome", "expected", "failed"),
    [
        (Hit(LAYER, None), {"outcome": "hit", "reason": "hit", "source": "unpacked"}, None),
        (
            Miss(Reason.ABSENT, "", "nfs"),
            {"outcome": "miss", "reason": "absent", "source": "nfs"},
            None,
        ),
        (
            Miss(Reason.DISCONNECTED, "no transport", "nfs"),
            {
                "outcome": "miss",
                "reason": "disconnected",
                "source": "nfs",
                "detail": "no transport",
            },
            "no transport",
        ),
        (Miss(Reason.NO_SOURCE, ""), {"outcome": "miss", "reason": "no-source"}, None),
    ],
    ids=["hit", "absent", "disconnected", "no source"],
)
def test_decisions(outcome: Hit | Miss, expected: dict[str, str], failed: str | None) -> None:
    """A decision lasts as long as it took, and says what was decided, why and by which source."""
    recording = Recording()
    image = "registry.example/" + "a" * MAX_TEXT
    decided = LayerDecided("key", "", "sha256:t", "sha256:d", outcome, 2.0, image)
    with recording.call():
        SpanEvents(recording.inner).record(decided)

    attributes, problem = recording.one("decision")
    more = {"digest": "sha256:d", "target": "sha256:t", "image": image[:MAX_TEXT]}
    assert expected | more == _ours(attributes)
    assert failed == problem
    decision = recording.ended[0]
    assert decision.start_time is not None
    assert decision.end_time is not None
    assert 2.0 == pytest.approx((decision.end_time - decision.start_time) / 1e9, abs=1e-6)


def test_other_events() -> None:
    """A cleanup is a span; what is kept, unreachable or given up is noted in the call's own."""
    recording = Recording()
    events = SpanEvents(recording.inner)
    with recording.call():
        for event in EVENTS:
            events.record(event)

    assert ["decision", "cleanup", "call"] == recording.names()
    assert ({f"{OURS}snapshots": 1, f"{OURS}companions": 2}, None) == recording.one("cleanup")
    noted = {event.name: dict(event.attributes or {}) for event in recording.ended[-1].events}
    assert ["directory kept", "layer unreachable", "circuit opened"] == list(noted)
    assert {"identifier": 7, "detail": "busy"} == _ours(noted["directory kept"])
    assert "slow" == _ours(noted["layer unreachable"])["reason"]
    assert {"source": "unpacked", "reason": "slow"} == _ours(noted["circuit opened"])


def test_nothing_outside_of_a_call() -> None:
    """What the daemon does of its own accord leaves no span."""
    recording = Recording()
    TracedStore(MemoryStore(), recording.inner).read(lambda records: records.census())
    TracedSources(MemorySources(["nfs"]), recording.inner).look(OTHER, 1e9)
    for event in EVENTS:
        SpanEvents(recording.inner).record(event)

    assert [] == recording.ended


def test_nothing_in_a_call_that_is_not_recorded() -> None:
    """A call that the ratio leaves out leaves out all of it."""
    recording = Recording(ratio=0.0)
    with recording.call():
        TracedStore(MemoryStore(), recording.inner).read(lambda records: records.census())
        SpanEvents(recording.inner).record(DECIDED)

    assert [] == recording.ended
