"""Looking after a source in the background."""

import threading
from collections.abc import Callable, Iterator, Mapping

import attrs
import pytest
import structlog
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger

from cvmfs_snapshotter.adapters.circuits import Breakers, GuardedSources, Trier
from cvmfs_snapshotter.adapters.layers.holder import Holder
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.memory import MemoryClock, MemoryEvents, MemorySources
from cvmfs_snapshotter.domain.circuit import State
from cvmfs_snapshotter.domain.events import CircuitClosed, CircuitOpened
from cvmfs_snapshotter.domain.layer import Digest, Layer, Reason
from cvmfs_snapshotter.entrypoints.fanout import FanOut, WakeOnOpening
from cvmfs_snapshotter.entrypoints.tending import KEEP_SECONDS, RETRY_SECONDS, Tender
from tests.harness.processes import wait_until

A = Digest("a" * 64)
LIMITS = {"one": 5.0}


class Keeper:
    """Holds the root of a source in memory."""

    def __init__(self, sources: MemorySources) -> None:
        self._sources = sources
        self.closed = False
        self.stuck = False

    def ask(self, request: Mapping[str, object], seconds: float) -> Mapping[str, object]:
        """See ``Keeper.ask``."""
        miss = self._sources.identify("one", 0.0)
        if miss is None:
            return {"proven": True, "revision": 7}
        return {"reason": miss.reason.value, "detail": miss.detail}

    def count(self) -> tuple[int, int]:
        """See ``Keeper.count``."""
        return int(not self.closed), int(self.closed and self.stuck)

    def close(self, seconds: float = 2.0) -> None:
        """See ``Keeper.close``."""
        self.closed = True


class Bench:
    """A source in memory and what looks after it; ``work`` is called by hand."""

    def __init__(self, *, keep_mounted: bool = True) -> None:
        self.clock = MemoryClock(seconds=100.0)
        self.events = MemoryEvents()
        self.inner = MemorySources(["one"])
        self.log = LogCapture()
        logger: FilteringBoundLogger = structlog.wrap_logger(
            None,
            processors=[self.log],
            wrapper_class=structlog.make_filtering_bound_logger("debug"),
        )
        self.woken: list[str] = []
        listeners = FanOut((self.events, WakeOnOpening(self._wake)))
        self.breakers = Breakers(["one"], self.clock, listeners, lambda: 0.0)
        self.sources = GuardedSources(self.inner, self.breakers, LIMITS, self.clock)
        self.keepers: list[Keeper] = []
        settings = SourceSettings("one", "directory", "", "/one", keep_mounted=keep_mounted)
        trier = Trier(self.breakers, {"one": self.inner}, LIMITS, self.clock)
        holder = Holder(settings, self._keeper)
        self.tender = Tender("one", self.breakers, trier, holder, self.clock, logger)

    def _keeper(self) -> Keeper:
        self.keepers.append(Keeper(self.inner))
        return self.keepers[-1]

    def _wake(self, source: str) -> None:
        self.woken.append(source)
        self.tender.wake()

    @property
    def held(self) -> bool:
        """Whether the root is held."""
        return self.tender.holder.held

    @property
    def state(self) -> State:
        """The state of the circuit."""
        return self.breakers.standing("one").circuit.state

    def fail(self, reason: Reason) -> None:
        """Break the source, and let two requests find out."""
        self.inner.faults["one"] = reason
        for _ in range(2):
            self.sources.look(Layer("one", A), self.clock.monotonic() + 5.0)

    def lines(self) -> list[tuple[str, str]]:
        """Give level and text of all lines."""
        return [(line["log_level"], line["event"]) for line in self.log.entries]


@pytest.fixture
def bench() -> Bench:
    """Give a source that is well and to be kept mounted."""
    return Bench()


def test_holds(bench: Bench) -> None:
    """A root is held at once and looked at again now and then, with one line in the log."""
    assert KEEP_SECONDS == bench.tender.work()
    bench.clock.advance(KEEP_SECONDS - 1.0)
    assert 1.0 == bench.tender.work()
    bench.clock.advance(1.0)
    assert KEEP_SECONDS == bench.tender.work()

    assert bench.held
    assert [("info", "source held")] == bench.lines()


def test_not_to_be_held() -> None:
    """Without ``keep_mounted`` the source is not touched, and nothing is due."""
    bench = Bench(keep_mounted=False)

    assert bench.tender.work() is None
    assert [] == bench.keepers


def test_dead_client_without_requests(bench: Bench) -> None:
    """A client that dies is noticed though nobody asks: it is let go, and the circuit opens."""
    bench.tender.work()
    bench.inner.faults["one"] = Reason.DISCONNECTED
    bench.clock.advance(KEEP_SECONDS)

    assert RETRY_SECONDS == bench.tender.work()
    assert not bench.held
    bench.clock.advance(RETRY_SECONDS)
    bench.tender.work()
    assert State.OPEN is bench.state
    assert ["one"] == bench.woken
    assert [("info", "source held"), ("warning", "source not held any more")] == bench.lines()


def test_recovery(bench: Bench) -> None:
    """Trials go on until the source is back; then it is held again, in the same piece of work."""
    bench.tender.work()
    bench.fail(Reason.DISCONNECTED)
    pauses = []
    for _ in range(3):
        pauses.append(bench.tender.work())
        bench.clock.advance(pauses[-1] or 0.0)
    assert [1.0, 2.0, 4.0] == pauses
    assert not bench.held
    del bench.inner.faults["one"]

    assert KEEP_SECONDS == bench.tender.work()
    assert (State.CLOSED, True) == (bench.state, bench.held)
    assert [CircuitOpened, CircuitClosed] == [type(event) for event in bench.events.recorded]


def test_dead_client_is_let_go(bench: Bench) -> None:
    """When requests find the client dead its root is let go, so that it can be unmounted."""
    bench.tender.work()
    bench.fail(Reason.DISCONNECTED)
    bench.tender.work()

    assert (False, True) == (bench.held, bench.keepers[0].closed)
    assert bench.tender.holder.wanted


def test_client_that_dies_later_is_let_go(bench: Bench) -> None:
    """Also where look-ups failed first: what has died is not held until they succeed."""
    bench.tender.work()
    bench.fail(Reason.INPUT_OUTPUT)
    pause = bench.tender.work()
    assert bench.held
    bench.inner.faults["one"] = Reason.DISCONNECTED
    bench.clock.advance(pause or 0.0)
    bench.tender.work()

    assert (State.OPEN, False) == (bench.state, bench.held)


@pytest.mark.parametrize("reason", [Reason.SLOW, Reason.INPUT_OUTPUT])
def test_living_client_stays_held(bench: Bench, reason: Reason) -> None:
    """Servers out of reach are no reason to let the source be unmounted."""
    bench.tender.work()
    bench.inner.from_memory.add("one")
    bench.fail(reason)
    for _ in range(5):
        bench.clock.advance(bench.tender.work() or 0.0)

    assert (State.OPEN, True) == (bench.state, bench.held)


def test_root_in_memory_does_not_close(bench: Bench) -> None:
    """Looks at a root that is in memory make good for no failed look-up."""
    bench.inner.from_memory.add("one")
    bench.inner.faults["one"] = Reason.INPUT_OUTPUT
    bench.sources.look(Layer("one", A), 1e9)
    bench.tender.work()
    bench.sources.look(Layer("one", A), 1e9)

    assert State.OPEN is bench.state


def test_release_and_hold(bench: Bench) -> None:
    """A source is released on request, is not touched then, and is held again on request."""
    bench.tender.work()
    assert bench.tender.release()
    assert bench.tender.work() is None
    assert (False, True) == (bench.held, bench.keepers[0].closed)
    bench.tender.hold()
    assert KEEP_SECONDS == bench.tender.work()

    assert bench.held
    assert ["source held", "source released", "source held"] == [text for _, text in bench.lines()]


def test_release_of_what_hangs(bench: Bench) -> None:
    """A process that hangs in the kernel is told of: the source stays in use."""
    bench.tender.work()
    bench.keepers[0].stuck = True

    assert not bench.tender.release()
    assert ("warning", True) == (bench.lines()[-1][0], "hangs" in bench.lines()[-1][1])


def test_release_is_no_failure(bench: Bench) -> None:
    """Releasing what was never held says nothing against the source, and no line is written."""
    assert bench.tender.release()
    assert bench.tender.work() is None

    assert 0 == bench.breakers.standing("one").circuit.failures
    assert [] == bench.lines()


@pytest.fixture
def running() -> Iterator[Bench]:
    """Give a source whose thread runs."""
    bench = Bench()
    bench.tender.start()
    yield bench
    assert bench.tender.stop(10.0)


def test_thread(running: Bench) -> None:
    """The thread holds the root, sleeps, and is woken by a circuit that opens."""
    wait_until("it is held", lambda: running.held)
    running.fail(Reason.DISCONNECTED)
    wait_until("it is let go", lambda: not running.held)
    del running.inner.faults["one"]
    running.clock.advance(1.0)
    running.tender.wake()

    wait_until("it is held again", lambda: running.held)
    assert State.CLOSED is running.state


def test_thread_is_woken_by_requests_of_the_operator(running: Bench) -> None:
    """It does not sleep through a request to hold."""
    wait_until("it is held", lambda: running.held)
    running.tender.release()
    running.tender.hold()

    wait_until("it is held again", lambda: running.held)


def test_thread_survives_defects(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect is logged, and the thread goes on after a pause."""
    monkeypatch.setattr("cvmfs_snapshotter.entrypoints.tending._PAUSE_AFTER_DEFECT", 0.01)
    real: Callable[[float], object] = bench.tender.holder.take
    calls = []

    def take(seconds: float) -> object:
        calls.append(seconds)
        if len(calls) < 3:
            raise OSError("a defect")
        return real(seconds)

    monkeypatch.setattr(bench.tender.holder, "take", take)
    bench.tender.start()
    wait_until("it is held", lambda: bench.held)

    assert 2 == bench.lines().count(("error", "a source could not be looked after"))
    assert bench.tender.stop(10.0)


def test_stop_before_start(bench: Bench) -> None:
    """A start that failed half-way can be undone."""
    assert bench.tender.stop(0.1)


def test_stop_lets_go(bench: Bench) -> None:
    """The end of the thread is the end of what it holds, and nothing waits for a source."""
    bench.tender.start()
    wait_until("it is held", lambda: bench.held)
    assert bench.tender.stop(10.0)

    assert (False, True) == (bench.held, bench.keepers[0].closed)
    assert all(not t.is_alive() or t.daemon for t in threading.enumerate() if t.name == "tend")


def test_settings() -> None:
    """A source is kept mounted unless it is said otherwise."""
    settings = SourceSettings("one", "directory", "", "/one")

    assert settings.keep_mounted
    assert not attrs.evolve(settings, keep_mounted=False).keep_mounted
