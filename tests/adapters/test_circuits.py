"""What counts for circuits, and what they do while the rest of a source seems well."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cvmfs_snapshotter.adapters.circuits import Breakers, GuardedSources, Trier
from cvmfs_snapshotter.adapters.circuits.trier import new_name
from cvmfs_snapshotter.adapters.memory import MemoryClock, MemoryEvents, MemorySources
from cvmfs_snapshotter.domain.circuit import Operation, Result, State, Verdict
from cvmfs_snapshotter.domain.events import CircuitClosed, CircuitOpened
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason, Trouble

A, B = Digest("a" * 64), Digest("b" * 64)
LIMIT = 5.0


class Bench:
    """Guarded sources in memory, with one clock for all."""

    def __init__(self, *names: str) -> None:
        self.clock = MemoryClock(seconds=100.0)
        self.events = MemoryEvents()
        self.inner = MemorySources(names)
        self.breakers = Breakers(names, self.clock, self.events, lambda: 0.0)
        limits = dict.fromkeys(names, LIMIT)
        self.sources = GuardedSources(self.inner, self.breakers, limits, self.clock)
        self.trier = Trier(self.breakers, dict.fromkeys(names, self.inner), limits, self.clock)

    def look(self, digest: Digest, source: str = "one", seconds: float = LIMIT) -> Reason:
        """Look a layer up and give the reason of the outcome."""
        until = self.clock.monotonic() + seconds
        outcome = self.sources.look(Layer(source, digest), until)
        return Reason.HIT if isinstance(outcome, Hit) else outcome.reason

    def state(self, source: str = "one") -> State:
        """Give the state of a circuit."""
        return self.breakers.standing(source).circuit.state

    def try_when_due(self) -> None:
        """Let the next trial take place."""
        self.clock.advance(self.breakers.standing("one").next_try or 0.0)
        assert self.trier.run("one")


@pytest.fixture
def bench() -> Bench:
    """Give one source that is well."""
    return Bench("one")


def test_network_down(bench: Bench) -> None:
    """With servers down it opens and stays open, though the root and some layers are in memory."""
    cached = bench.inner.publish("one", A)
    layer = bench.inner.publish("one", B)
    bench.inner.faults["one"] = Reason.INPUT_OUTPUT
    bench.inner.from_memory.add("one")
    bench.inner.cached.add(cached)

    assert Reason.HIT is bench.look(A)
    assert [Reason.INPUT_OUTPUT] * 2 == [bench.look(B), bench.look(B)]
    for _ in range(50):
        assert Reason.CIRCUIT is bench.look(A)
        bench.breakers.succeeded("one", Operation.IDENTITY, started=bench.clock.monotonic())
        bench.try_when_due()
        assert State.OPEN is bench.state()
    del bench.inner.faults["one"]
    bench.try_when_due()

    assert State.CLOSED is bench.state()
    assert isinstance(bench.sources.look(Layer("one", B), 1e9), Hit)
    assert [CircuitOpened, CircuitClosed] == [type(event) for event in bench.events.recorded]
    assert layer in bench.inner.asked


def test_one_broken_layer(bench: Bench) -> None:
    """A layer that is at fault itself costs its source one trial, and never again."""
    bench.inner.publish("one", A)

    class Damaged(MemorySources):
        def look(self, layer: Layer, until: float) -> Hit | Miss:
            """See ``LayerSources.look``."""
            if layer.digest == B:
                return Miss(Reason.INPUT_OUTPUT, "damaged", layer.source)
            return super().look(layer, until)

    damaged = Damaged(["one"])
    damaged.published = bench.inner.published
    limits = {"one": LIMIT}
    bench.sources = GuardedSources(damaged, bench.breakers, limits, bench.clock)
    bench.trier = Trier(bench.breakers, {"one": damaged}, limits, bench.clock)
    bench.look(B)
    bench.look(B)
    bench.try_when_due()

    assert [Reason.INPUT_OUTPUT] * 5 == [bench.look(B) for _ in range(5)]
    assert Reason.HIT is bench.look(A)
    closed = bench.events.recorded[-1]
    assert isinstance(closed, CircuitClosed)
    assert 1 == closed.suspects


@pytest.mark.parametrize("seconds", [5.0, 2.6])
def test_slow_counts(bench: Bench, seconds: float) -> None:
    """A source that had its time and did not answer has failed."""
    bench.inner.faults["one"] = Reason.SLOW
    bench.look(A, seconds=seconds)
    bench.look(A, seconds=seconds)

    assert State.OPEN is bench.state()


def test_too_little_time_does_not_count(bench: Bench) -> None:
    """A source is not to blame for time that another one has used up."""
    bench.inner.faults["one"] = Reason.SLOW
    for _ in range(5):
        bench.look(A, seconds=2.4)
        bench.sources.check([Layer("one", A)], bench.clock.monotonic() + 0.5)

    assert 0 == bench.breakers.standing("one").circuit.failures


def test_slow_scans_do_not_count(bench: Bench) -> None:
    """A scan that goes on in the background may make progress."""
    layer = bench.inner.publish("one", A)
    bench.inner.unscannable.add(layer)
    for _ in range(5):
        assert isinstance(bench.sources.scan(layer, lambda _: None), Miss)

    assert 0 == bench.breakers.standing("one").circuit.failures


def test_busy_does_not_count(bench: Bench) -> None:
    """That all probes are taken is nothing against a source, and nothing for it."""
    bench.inner.faults["one"] = Reason.INPUT_OUTPUT
    bench.look(A)
    bench.inner.faults["one"] = Reason.BUSY
    for _ in range(5):
        bench.look(A)

    assert 1 == bench.breakers.standing("one").circuit.failures


@pytest.mark.parametrize("reason", [r for r in Reason if r.healthy and r is not Reason.HIT])
def test_healthy_misses_do_not_count(bench: Bench, reason: Reason) -> None:
    """A layer that cannot be used for what it is says nothing against its source."""
    bench.inner.faults["one"] = reason
    for _ in range(5):
        bench.look(A)

    assert State.CLOSED is bench.state()


def test_unknown_source(bench: Bench) -> None:
    """A layer of a source that is not configured any more passes by all circuits."""
    trouble = bench.sources.check([Layer("gone", A), Layer("one", A)], 1e9)

    assert Reason.NO_SOURCE is bench.look(A, "gone")
    assert isinstance(trouble, Trouble)
    assert Reason.NO_SOURCE is trouble.reason
    assert 0 == bench.breakers.standing("one").circuit.failures


def test_open_answers_at_once(bench: Bench) -> None:
    """While it is open, nothing is asked, and an answer takes microseconds."""
    bench.inner.faults["one"] = Reason.SLOW
    bench.look(A)
    bench.look(A)
    asked = len(bench.inner.asked)
    layers = [Layer("one", A)]
    began = time.perf_counter()
    for _ in range(1000):
        bench.sources.look(Layer("one", B), 1e9)
        bench.sources.check(layers, 1e9)
    each = (time.perf_counter() - began) / 2000

    assert asked == len(bench.inner.asked)
    assert each < 0.001


def test_state_while_it_is_tried(bench: Bench) -> None:
    """Requests are refused during a trial, and told so."""
    bench.inner.faults["one"] = Reason.INPUT_OUTPUT
    bench.look(A)
    bench.look(A)
    bench.clock.advance(7.0)
    assert bench.breakers.begin_trial("one") is not None
    assert bench.breakers.begin_trial("one") is None
    miss = bench.sources.look(Layer("one", A), 1e9)

    assert State.TRYING is bench.state()
    assert bench.breakers.standing("one").next_try is None
    assert isinstance(miss, Miss)
    assert "has not been asked for 7 s (io-error: " in miss.detail
    assert miss.detail.endswith("being tried")


def test_a_trial_that_breaks_off_ends(bench: Bench) -> None:
    """A defect in a trial leaves the circuit open, to be tried again."""
    bench.inner.faults["one"] = Reason.INPUT_OUTPUT
    bench.look(A)
    bench.look(A)

    def fail() -> Digest:
        raise OSError("no more chance")

    limits = {"one": LIMIT}
    bench.trier = Trier(bench.breakers, {"one": bench.inner}, limits, bench.clock, fail)
    with pytest.raises(OSError, match="no more chance"):
        bench.try_when_due()

    assert State.OPEN is bench.state()
    assert 2.0 == bench.breakers.standing("one").next_try


def test_nothing_is_due(bench: Bench) -> None:
    """A closed circuit is not tried."""
    assert not bench.trier.run("one")
    assert [] == bench.inner.asked


def test_names_differ() -> None:
    """A name for a trial is a digest, and never the same."""
    names = {new_name() for _ in range(100)}

    assert 100 == len(names)
    assert all(Digest.parse(str(name)) == name for name in names)


def test_many_threads(bench: Bench) -> None:
    """However many requests fail at once, it opens once, and a trial takes place once."""
    bench.inner.faults["one"] = Reason.INPUT_OUTPUT
    together = threading.Barrier(8)

    def fail(_: int) -> None:
        together.wait()
        for _ in range(50):
            bench.look(A)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(fail, range(8)))
        assert [CircuitOpened] == [type(event) for event in bench.events.recorded]
        bench.clock.advance(1.0)
        trials = list(threads.map(lambda _: bench.breakers.begin_trial("one"), range(8)))

    assert 1 == sum(trial is not None for trial in trials)
    bench.breakers.end_trial("one", Verdict(Result.RECOVERED))
    assert State.CLOSED is bench.state()
