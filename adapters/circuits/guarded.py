"""Sources behind their circuits."""

from collections.abc import Callable, Mapping, Sequence

from cvmfs_snapshotter.domain.circuit import Operation
from cvmfs_snapshotter.domain.companions import Directory, Names
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason, Trouble
from cvmfs_snapshotter.domain.policy import Policy
from cvmfs_snapshotter.domain.ports.clock import Clock
from cvmfs_snapshotter.domain.ports.layers import LayerSources

from .breakers import Breakers


class GuardedSources:
    """Implements ``LayerSources``: asks others as long as the circuit of a source is closed.

    While it is open the answer comes at once, and nothing is asked. What the others answer is
    noted with the circuits:

    * A look-up that was slow counts only if it had at least half the time that its source may
      take; otherwise another source has used it up.
    * A scan that was slow does not count: it may have made progress. That the source hangs shows
      with the next look-up.
    * A look at the layers below does not count: it follows a look-up of the same request.
    """

    def __init__(
        self,
        inner: LayerSources,
        breakers: Breakers,
        limits: Mapping[str, float],
        clock: Clock,
    ) -> None:
        """Stand in front of sources.

        Args:
            inner: the sources.
            breakers: their circuits.
            limits: by name of source, the seconds that a look-up may take.
            clock: gives the time.
        """
        self._inner = inner
        self._breakers = breakers
        self._limits = limits
        self._clock = clock

    @property
    def patience(self) -> float:
        """See ``LayerSources.patience``."""
        return self._inner.patience

    @property
    def names(self) -> Sequence[str]:
        """See ``LayerSources.names``."""
        return self._inner.names

    def look(self, layer: Layer, until: float) -> Hit | Miss:
        """See ``LayerSources.look``."""
        refusal = self._breakers.refusal(layer.source)
        if refusal is not None:
            return refusal
        started = self._clock.monotonic()
        outcome = self._inner.look(layer, until)
        if isinstance(outcome, Hit):
            self._worked([layer], started)
        else:
            self._missed(layer, outcome, started, until)
        return outcome

    def look_above(
        self, layer: Layer, below: Sequence[Layer], until: float
    ) -> Hit | Miss | Trouble:
        """See ``LayerSources.look_above``.

        Where all are on one source, they are asked for at once: a look-up that was slow then had
        what that source has left of its own time.
        """
        distinct = list(dict.fromkeys(below))
        if not distinct:
            return self.look(layer, until)
        if any(lower.source != layer.source for lower in distinct):
            return self.check(below, until) or self.look(layer, until)
        refused = self._refused(distinct)
        if refused is not None:
            return refused
        started = self._clock.monotonic()
        outcome = self._inner.look_above(layer, distinct, until)
        if isinstance(outcome, Trouble):
            self._troubled(distinct, outcome, started, until)
            return outcome
        if isinstance(outcome, Hit):
            self._worked([*distinct, layer], started)
        else:
            self._worked(distinct, started)
            self._missed(layer, outcome, started, until)
        return outcome

    def check(self, layers: Sequence[Layer], until: float) -> Trouble | None:
        """See ``LayerSources.check``."""
        distinct = list(dict.fromkeys(layers))
        refused = self._refused(distinct)
        if refused is not None:
            return refused
        started = self._clock.monotonic()
        trouble = self._inner.check(distinct, until)
        if trouble is None:
            self._worked(distinct, started)
        else:
            self._troubled(distinct, trouble, started, until)
        return trouble

    def _refused(self, layers: Sequence[Layer]) -> Trouble | None:
        asked: set[str] = set()
        for layer in layers:
            if layer.source in asked:
                continue
            asked.add(layer.source)
            refusal = self._breakers.refusal(layer.source)
            if refusal is not None:
                path = self.path(layer) or ""
                return Trouble(layer, path, refusal.reason, refusal.detail)
        return None

    def _troubled(
        self, distinct: Sequence[Layer], trouble: Trouble, started: float, until: float
    ) -> None:
        if trouble.reason is not Reason.NO_SOURCE:
            before = distinct[: distinct.index(trouble.layer)]
            bad = trouble.layer.source
            self._worked([layer for layer in before if layer.source != bad], started)
            self._missed(trouble.layer, Miss(trouble.reason, trouble.detail, bad), started, until)

    def scan(self, layer: Layer, keep: Callable[[Names], None]) -> Names | Miss:
        """See ``LayerSources.scan``."""
        refusal = self._breakers.refusal(layer.source)
        if refusal is not None:
            return refusal
        started = self._clock.monotonic()
        outcome = self._inner.scan(layer, keep)
        if isinstance(outcome, Miss):
            self._missed(layer, outcome, started, started)
        else:
            self._worked([layer], started)
        return outcome

    def directories_below(
        self, paths: Sequence[bytes], lowers: Sequence[Layer | str]
    ) -> Mapping[bytes, Directory] | Miss:
        """See ``LayerSources.directories_below``."""
        for lower in lowers:
            refusal = self._breakers.refusal(lower.source) if isinstance(lower, Layer) else None
            if refusal is not None:
                return refusal
        return self._inner.directories_below(paths, lowers)

    def policy(self, source: str) -> Policy:
        """See ``LayerSources.policy``."""
        return self._inner.policy(source)

    def path(self, layer: Layer) -> str | None:
        """See ``LayerSources.path``."""
        return self._inner.path(layer)

    def _worked(self, layers: Sequence[Layer], started: float) -> None:
        found: dict[str, list[Digest]] = {}
        for layer in layers:
            found.setdefault(layer.source, []).append(layer.digest)
        for source, digests in found.items():
            self._breakers.succeeded(source, Operation.LOOK_UP, digests, started=started)

    def _missed(self, layer: Layer, miss: Miss, started: float, until: float) -> None:
        enough = self._limits.get(layer.source, 0.0) / 2
        if miss.reason is Reason.SLOW and until - started < enough:
            return
        self._breakers.missed(layer.source, miss, Operation.LOOK_UP, layer.digest, started=started)
