"""The sources, timed."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Histogram

from cvmfs_snapshotter.domain.companions import Directory, Names
from cvmfs_snapshotter.domain.layer import Hit, Layer, Miss, Trouble
from cvmfs_snapshotter.domain.policy import Policy
from cvmfs_snapshotter.domain.ports.layers import LayerSources

from .naming import PREFIX, SLOW


class TimedSources:
    """Implements ``LayerSources`` with others, whose time it takes."""

    def __init__(
        self,
        inner: LayerSources,
        registry: CollectorRegistry,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Stand in front of sources.

        Args:
            inner: the sources.
            registry: gets the metrics.
            monotonic: seconds since some moment, never going back.
        """
        self._inner = inner
        self._monotonic = monotonic
        self._seconds = Histogram(
            "probe_duration_seconds",
            "Time that a request waited for a source. A check or comparison of layers on several "
            "sources counts for each of them.",
            ("source", "operation"),
            namespace=PREFIX,
            registry=registry,
            buckets=SLOW,
        )

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
        started = self._monotonic()
        outcome = self._inner.look(layer, until)
        self._note("look", (layer,), started)
        return outcome

    def look_above(
        self, layer: Layer, below: Sequence[Layer], until: float
    ) -> Hit | Miss | Trouble:
        """See ``LayerSources.look_above``."""
        started = self._monotonic()
        outcome = self._inner.look_above(layer, below, until)
        self._note("look", (layer, *below), started)
        return outcome

    def check(self, layers: Sequence[Layer], until: float) -> Trouble | None:
        """See ``LayerSources.check``."""
        started = self._monotonic()
        trouble = self._inner.check(layers, until)
        self._note("check", layers, started)
        return trouble

    def scan(self, layer: Layer, keep: Callable[[Names], None]) -> Names | Miss:
        """See ``LayerSources.scan``."""
        started = self._monotonic()
        outcome = self._inner.scan(layer, keep)
        self._note("scan", (layer,), started)
        return outcome

    def directories_below(
        self, paths: Sequence[bytes], lowers: Sequence[Layer | str]
    ) -> Mapping[bytes, Directory] | Miss:
        """See ``LayerSources.directories_below``."""
        started = self._monotonic()
        outcome = self._inner.directories_below(paths, lowers)
        self._note("compare", (each for each in lowers if isinstance(each, Layer)), started)
        return outcome

    def policy(self, source: str) -> Policy:
        """See ``LayerSources.policy``."""
        return self._inner.policy(source)

    def path(self, layer: Layer) -> str | None:
        """See ``LayerSources.path``."""
        return self._inner.path(layer)

    def _note(self, operation: str, layers: Iterable[Layer], started: float) -> None:
        seconds = self._monotonic() - started
        for source in {layer.source for layer in layers}:
            self._seconds.labels(source, operation).observe(seconds)
