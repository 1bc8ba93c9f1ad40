"""Trying sources whose circuits are open."""

import secrets
from collections.abc import Callable, Mapping

from cvmfs_snapshotter.domain.circuit import FRESH_NAMES, Result, Verdict, judge
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss
from cvmfs_snapshotter.domain.ports.clock import Clock
from cvmfs_snapshotter.domain.ports.trials import Trials

from .breakers import Breakers


def new_name() -> Digest:
    """Make a name that no layer has and nobody has asked for."""
    return Digest(secrets.token_hex(32))


class Trier:
    """Carries out what is due. It waits for sources, so that no request may run it."""

    def __init__(
        self,
        breakers: Breakers,
        trials: Mapping[str, Trials],
        limits: Mapping[str, float],
        clock: Clock,
        fresh: Callable[[], Digest] = new_name,
    ) -> None:
        """Start to try.

        Args:
            breakers: the circuits.
            trials: by name of source, what asks it.
            limits: by name of source, the seconds that one question of a trial may take.
            clock: gives the time.
            fresh: makes names that nobody has asked for.
        """
        self._breakers = breakers
        self._trials = trials
        self._limits = limits
        self._clock = clock
        self._fresh = fresh

    def run(self, source: str) -> bool:
        """Carry out the trial of a source if one is due.

        Args:
            source: its name.

        Returns:
            Whether one was due.
        """
        trial = self._breakers.begin_trial(source)
        if trial is None:
            return False
        asks = self._trials[source]

        def until() -> float:
            return self._clock.monotonic() + self._limits[source]

        def look(digest: Digest) -> Miss | None:
            outcome = asks.look(Layer(source, digest), until())
            return None if isinstance(outcome, Hit) else outcome

        # Whatever goes wrong, the trial has to end, or there would never be another one.
        verdict = Verdict(Result.FAILING)
        try:
            fresh = [self._fresh() for _ in range(FRESH_NAMES)]
            verdict = judge(trial, lambda: asks.identify(source, until()), look, fresh)
        finally:
            self._breakers.end_trial(source, verdict)
        return True
