import pytest
from prometheus_client import CollectorRegistry

from cvmfs_snapshotter.adapters.memory import MemorySources, MemoryStore
from cvmfs_snapshotter.adapters.metrics.calls import CallMeter
from cvmfs_snapshotter.adapters.metrics.events import MetricEvents
from cvmfs_snapshotter.adapters.metrics.naming import new_registry
from cvmfs_snapshotter.adapters.metrics.sources import TimedSources
from cvmfs_snapshotter.adapters.metrics.store import TimedStore
from cvmfs_snapshotter.domain.circuit import Cause, Operation
from cvmfs_snapshotter.domain.errors import UnavailableError
from cvmfs_snapshotter.domain.events import (
    CircuitOpened,
    CleanedUp,
    DirectoryKept,
    DirectoryMade,
    Event,
    LayerDecided,
    LayerUnreachable,
    SnapshotCommitted,
    UpkeepPutOff,
)
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason, Trouble

LAYER = Layer("unpacked", Digest("a" * 64))
PREFIX = "cvmfs_snapshotter_"


class Counted:
    """A registry whose samples can be asked for."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = new_registry()

    def value(self, name: str, **labels: str) -> float | None:
        """Give one sample; None if there is none."""
        return self.registry.get_sample_value(f"{PREFIX}{name}", labels)

    def all(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Give all samples that are not 0."""
        return {
            (sample.name.removeprefix(PREFIX), tuple(sorted(sample.labels.items()))): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.value
        }


class Ticks:
    """A clock that goes on by a quarter of a second with each look at it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        self.seconds += 0.25
        return self.seconds


@pytest.fixture
def counted() -> Counted:
    """Give an empty registry."""
    return Counted()


@pytest.fixture
def events(counted: Counted) -> MetricEvents:
    """Give events that are counted, for one source."""
    return MetricEvents(counted.registry, ["unpacked"])


def _decided(outcome: Hit | Miss, *, above_local: bool = False) -> LayerDecided:
    """Give a decision that took 20 ms."""
    return LayerDecided("k", "p", "t", "d", outcome, 0.02, "image", above_local)


def test_hits(counted: Counted, events: MetricEvents) -> None:
    """A hit counts with its size, and apart if a layer below it is local."""
    events.record(_decided(Hit(LAYER, None, size=1000)))
    events.record(_decided(Hit(LAYER, None, size=24), above_local=True))
    events.record(_decided(Hit(LAYER, None)))

    assert 3 == counted.value("decisions_total", outcome="hit", reason="hit", source="unpacked")
    assert 1 == counted.value("hits_above_local_total", source="unpacked")
    assert 1024 == counted.value("hit_uncompressed_bytes_total", source="unpacked")
    assert 1 == counted.value("hits_of_unknown_size_total", source="unpacked")
    assert 3 == counted.value("decision_duration_seconds_count", outcome="hit")
    assert 0.06 == pytest.approx(counted.value("decision_duration_seconds_sum", outcome="hit"))


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.HIT])
@pytest.mark.parametrize("source", ["", "unpacked"])
def test_misses(counted: Counted, events: MetricEvents, reason: Reason, source: str) -> None:
    """A miss counts by reason and source, and with nothing that grows."""
    labels = {"outcome": "miss", "reason": reason.value, "source": source}
    assert 0 == counted.value("decisions_total", **labels)
    events.record(_decided(Miss(reason, "detail", source), above_local=True))

    assert 1 == counted.value("decisions_total", **labels)
    assert 0 == counted.value("hits_above_local_total", source="unpacked")
    assert 1 == counted.value("decision_duration_seconds_count", outcome="miss")


SLOW = Cause(Operation.LOOK_UP, Reason.SLOW, "detail")
OF_SLOW = (("reason", "slow"), ("source", "unpacked"))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            LayerUnreachable("k", Trouble(LAYER, "/path", Reason.SLOW, "detail")),
            ("layers_unreachable_total", OF_SLOW),
        ),
        (CircuitOpened("unpacked", SLOW, 2, 1.0), ("circuit_openings_total", OF_SLOW)),
        (DirectoryKept(7, "busy"), ("directories_kept_total", ())),
        (DirectoryMade(7), ("directories_made_total", ())),
        (UpkeepPutOff("following", "full"), ("upkeep_put_off_total", ())),
    ],
)
def test_what_is_counted(
    counted: Counted, events: MetricEvents, event: Event, expected: tuple[str, object]
) -> None:
    """Each of these events counts once, in its own metric and no other."""
    assert {} == counted.all()
    events.record(event)

    assert {expected: 1.0} == counted.all()


def test_cleanup(counted: Counted, events: MetricEvents) -> None:
    """A Cleanup counts with its time and with what it deleted."""
    events.record(CleanedUp(3, 1, 0.5))

    assert 1 == counted.value("cleanup_duration_seconds_count")
    assert 0.5 == counted.value("cleanup_duration_seconds_sum")
    assert 3 == counted.value("cleanup_deleted_total", kind="snapshot")
    assert 1 == counted.value("cleanup_deleted_total", kind="companion")


def test_what_is_not_counted(counted: Counted, events: MetricEvents) -> None:
    """Events that say nothing to an operator leave everything at 0."""
    events.record(SnapshotCommitted(7))

    assert {} == counted.all()


def test_calls(counted: Counted) -> None:
    """Calls count by service, method and code; those of containerd begin at 0."""
    meter = CallMeter(counted.registry, ["/a.b.S/Prepare"])
    of_prepare = {"service": "a.b.S", "method": "Prepare"}
    assert 0 == counted.value("rpcs_total", code="INTERNAL", **of_prepare)
    meter.note("/a.b.S/Prepare", "INTERNAL", 0.5)
    meter.note("/a.b.S/Prepare", "ALREADY_EXISTS", 0.25)
    meter.note("/health/Check", "OK", 0.25)

    assert 1 == counted.value("rpcs_total", code="INTERNAL", **of_prepare)
    assert 1 == counted.value("rpcs_total", code="ALREADY_EXISTS", **of_prepare)
    assert 0 == counted.value("rpcs_total", code="OK", **of_prepare)
    assert 1 == counted.value("rpcs_total", code="OK", service="health", method="Check")
    assert 0.75 == counted.value("rpc_duration_seconds_sum", **of_prepare)


def test_time_of_the_database(counted: Counted) -> None:
    """Reads and writes are timed, also those that fail."""
    store = TimedStore(MemoryStore(), counted.registry, Ticks())

    def fail(_: object) -> None:
        raise UnavailableError("locked")

    assert store.read(lambda r: r.get("x")) is None
    store.write(lambda t: t.add_tombstones([1]))
    for call in (store.read, store.write):
        with pytest.raises(UnavailableError):
            call(fail)

    for operation in ("read", "write"):
        assert 2 == counted.value("database_duration_seconds_count", operation=operation)
        assert 0.5 == counted.value("database_duration_seconds_sum", operation=operation)


def test_time_of_sources(counted: Counted) -> None:
    """Each way to ask a source is timed for itself, and for every source that is asked."""
    inner = MemorySources(["unpacked", "nfs"])
    sources = TimedSources(inner, counted.registry, Ticks())
    other = Layer("nfs", LAYER.digest)
    sources.look(LAYER, 5.0)
    sources.check([LAYER, other, LAYER], 5.0)
    sources.scan(LAYER, lambda _: None)
    sources.directories_below([b"a"], [other, "/local"])

    found = {
        dict(labels)["operation"] + " " + dict(labels)["source"]: value
        for (name, labels), value in counted.all().items()
        if name == "probe_duration_seconds_sum"
    }
    assert {
        "look unpacked": 0.25,
        "check unpacked": 0.25,
        "check nfs": 0.25,
        "scan unpacked": 0.25,
        "compare nfs": 0.25,
    } == found
