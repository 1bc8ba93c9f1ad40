"""The sources, with a span for each question."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from cvmfs_snapshotter.domain.companions import Directory, Names
from cvmfs_snapshotter.domain.layer import Hit, Layer, Miss, Reason, Trouble
from cvmfs_snapshotter.domain.policy import Policy
from cvmfs_snapshotter.domain.ports.layers import LayerSources

from .inner import InnerSpans, fail
from .texts import PREFIX, clean

T = TypeVar("T")


class TracedSources:
    """Implements ``LayerSources`` with others, whose questions to probe processes it shows."""

    def __init__(self, inner: LayerSources, spans: InnerSpans) -> None:
        """Stand in front of sources.

        Args:
            inner: the sources.
            spans: makes them.
        """
        self._inner = inner
        self._spans = spans

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
        return self._within("look", (layer,), lambda: self._inner.look(layer, until))

    def look_above(
        self, layer: Layer, below: Sequence[Layer], until: float
    ) -> Hit | Miss | Trouble:
        """See ``LayerSources.look_above``."""
        layers = (layer, *below)
        return self._within("look", layers, lambda: self._inner.look_above(layer, below, until))

    def check(self, layers: Sequence[Layer], until: float) -> Trouble | None:
        """See ``LayerSources.check``."""
        return self._within("check", layers, lambda: self._inner.check(layers, until))

    def scan(self, layer: Layer, keep: Callable[[Names], None]) -> Names | Miss:
        """See ``LayerSources.scan``."""
        return self._within("scan", (layer,), lambda: self._inner.scan(layer, keep))

    def directories_below(
        self, paths: Sequence[bytes], lowers: Sequence[Layer | str]
    ) -> Mapping[bytes, Directory] | Miss:
        """See ``LayerSources.directories_below``."""
        layers = [lower for lower in lowers if isinstance(lower, Layer)]
        return self._within(
            "compare", layers, lambda: self._inner.directories_below(paths, lowers)
        )

    def policy(self, source: str) -> Policy:
        """See ``LayerSources.policy``."""
        return self._inner.policy(source)

    def path(self, layer: Layer) -> str | None:
        """See ``LayerSources.path``."""
        return self._inner.path(layer)

    def _within(self, operation: str, layers: Sequence[Layer], ask: Callable[[], T]) -> T:
        span = self._spans.begin(f"probe {operation}", _about(operation, layers))
        if span is None:
            return ask()
        try:
            outcome = ask()
            if isinstance(outcome, Miss | Trouble):
                answer = {"reason": outcome.reason.value, "detail": outcome.detail}
                span.set_attributes(
                    clean({f"{PREFIX}{key}": value for key, value in answer.items()})
                )
                if not outcome.reason.healthy:
                    fail(span, outcome.detail or outcome.reason.value)
            elif isinstance(outcome, Hit):
                span.set_attribute(f"{PREFIX}reason", Reason.HIT.value)
            return outcome
        finally:
            span.end()


def _about(operation: str, layers: Sequence[Layer]) -> dict[str, str | int]:
    sources = sorted({layer.source for layer in layers})
    about: dict[str, str | int] = {
        f"{PREFIX}source": " ".join(sources),
        f"{PREFIX}layers": len(layers),
    }
    # A look-up is about the first, the others are what it would stand on.
    if len(layers) == 1 or operation == "look":
        about[f"{PREFIX}digest"] = str(layers[0].digest)
    return about
