"""The circuits of all sources, for any number of threads."""

import threading
from collections.abc import Callable, Iterable, Sequence

import attrs

from cvmfs_snapshotter.domain.circuit import (
    Cause,
    Circuit,
    Operation,
    State,
    Trial,
    Verdict,
    cause_of,
    says_nothing,
)
from cvmfs_snapshotter.domain.events import CircuitClosed, CircuitOpened, Event
from cvmfs_snapshotter.domain.layer import Digest, Miss, Reason
from cvmfs_snapshotter.domain.ports.clock import Clock
from cvmfs_snapshotter.domain.ports.events import Events


@attrs.frozen
class Standing:
    """How a source stands at one moment.

    Attributes:
        circuit: its circuit.
        age: seconds since that was opened or closed, or made.
        next_try: seconds until the next trial; None unless one is to come.
        last_error: the latest failure of all, however long ago; None if there was none.
        last_error_at: when that was: nanoseconds since the epoch, UTC; 0 if there was none.
    """

    circuit: Circuit
    age: float
    next_try: float | None
    last_error: Cause | None
    last_error_at: int


@attrs.define
class _Kept:
    circuit: Circuit
    last_error: Cause | None = None
    last_error_at: int = 0


class Breakers:
    """Keeps a circuit for each source. Nothing here asks a source, or waits."""

    def __init__(
        self,
        sources: Sequence[str],
        clock: Clock,
        events: Events,
        chance: Callable[[], float],
    ) -> None:
        """Start with all of them closed.

        Args:
            sources: their names.
            clock: gives the time.
            events: hears of every circuit that opens or closes.
            chance: gives a number from 0 to 1, 1 excluded, that spreads the trials of many nodes.
        """
        self._clock = clock
        self._events = events
        self._chance = chance
        self._lock = threading.Lock()
        now = clock.monotonic()
        self._kept = {name: _Kept(Circuit(now)) for name in sources}

    def refusal(self, source: str) -> Miss | None:
        """Tell whether a source is not to be asked.

        Args:
            source: its name; one that is not known is never refused here.

        Returns:
            The miss to answer with; None if the source may be asked.
        """
        kept = self._kept.get(source)
        # Without the lock: circuits are values, and one of a moment ago is as good.
        circuit = kept.circuit if kept else None
        if circuit is None or not circuit.refuses or circuit.cause is None:
            return None
        now = self._clock.monotonic()
        left = max(circuit.next_try - now, 0.0)
        coming = f"next try in {left:.0f} s" if circuit.state is State.OPEN else "being tried"
        return Miss(
            Reason.CIRCUIT,
            f"source {source!r} has not been asked for {max(now - circuit.since, 0.0):.0f} s "
            f"({circuit.cause.reason.value}: {circuit.cause.detail}); {coming}",
            source,
        )

    def succeeded(
        self, source: str, operation: Operation, layers: Iterable[Digest] = (), *, started: float
    ) -> None:
        """Note that an operation worked; see ``Circuit.after_success``."""
        kept = self._kept.get(source)
        if kept is None:
            return
        layers = tuple(layers)
        # Without the lock: what changes nothing now needs none.
        circuit = kept.circuit
        if circuit.after_success(operation, layers, started=started) is circuit:
            return
        with self._lock:
            kept.circuit = kept.circuit.after_success(operation, layers, started=started)

    def missed(
        self,
        source: str,
        miss: Miss,
        operation: Operation,
        layer: Digest | None,
        *,
        started: float,
    ) -> None:
        """Note that an operation ended with a miss, whatever that says; see ``Circuit``.

        Args:
            source: name of the source.
            miss: the outcome.
            operation: the class of operation that was tried.
            layer: the layer that was looked up; None for an operation on the root.
            started: when it began, on the monotonic clock.
        """
        kept = self._kept.get(source)
        if kept is None or says_nothing(miss.reason):
            return
        cause = cause_of(miss, operation)
        if cause is None:
            layers = () if layer is None else (layer,)
            self.succeeded(source, operation, layers, started=started)
            return
        event = None
        with self._lock:
            before, now = kept.circuit, self._clock.monotonic()
            kept.circuit = before.after_failure(
                cause, layer, started=started, now=now, chance=self._chance()
            )
            kept.last_error, kept.last_error_at = cause, self._clock.now()
            if kept.circuit.refuses and not before.refuses:
                event = CircuitOpened(
                    source,
                    _waiting_for(kept.circuit),
                    kept.circuit.failures,
                    kept.circuit.next_try - now,
                )
        self._tell(event)

    def begin_trial(self, source: str) -> Trial | None:
        """Give the trial that is due for a source, which has begun then; None if none is."""
        kept = self._kept[source]
        with self._lock:
            trial = kept.circuit.trial(self._clock.monotonic())
            if trial is not None:
                kept.circuit = kept.circuit.during_trial()
            return trial

    def end_trial(self, source: str, verdict: Verdict) -> None:
        """Note how the trial that was begun has ended."""
        kept = self._kept[source]
        event = None
        with self._lock:
            before, now = kept.circuit, self._clock.monotonic()
            after = before.after_trial(verdict, now=now, chance=self._chance())
            kept.circuit = after
            if verdict.cause is not None:
                kept.last_error, kept.last_error_at = verdict.cause, self._clock.now()
            if not after.refuses and before.cause is not None:
                doubted = after.doubts > before.doubts
                event = CircuitClosed(
                    source,
                    before.cause,
                    now - before.since,
                    before.tries,
                    len(before.layers) if doubted else 0,
                )
        self._tell(event)

    def standing(self, source: str) -> Standing:
        """Tell how a source stands.

        Args:
            source: its name.

        Raises:
            KeyError: there is no such source.
        """
        kept = self._kept[source]
        with self._lock:
            circuit = kept.circuit
            now = self._clock.monotonic()
            left = circuit.next_try - now if circuit.state is State.OPEN else None
            return Standing(
                circuit,
                max(now - circuit.since, 0.0),
                None if left is None else max(left, 0.0),
                kept.last_error,
                kept.last_error_at,
            )

    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self._events.record(event)


def _waiting_for(circuit: Circuit) -> Cause:
    if circuit.cause is None:
        raise AssertionError("a circuit opens for a cause")
    return attrs.evolve(circuit.cause, operation=circuit.operation)
