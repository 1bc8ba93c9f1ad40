"""The events of the domain in the span of the call in which they happen."""

from cvmfs_snapshotter.domain.events import (
    CircuitOpened,
    CleanedUp,
    DirectoryKept,
    Event,
    LayerDecided,
    LayerUnreachable,
)
from cvmfs_snapshotter.domain.layer import Hit, Reason

from .inner import InnerSpans
from .texts import PREFIX


class SpanEvents:
    """Implements ``Events``. What took time becomes a span, the rest an event of the call's."""

    def __init__(self, spans: InnerSpans) -> None:
        """Begin.

        Args:
            spans: makes them.
        """
        self._spans = spans

    def record(self, event: Event) -> None:
        """Show an event; see ``Events.record``."""
        match event:
            case LayerDecided():
                self._decided(event)
            case CleanedUp(directories, companions, seconds):
                self._spans.past(
                    "cleanup",
                    seconds,
                    {f"{PREFIX}snapshots": directories, f"{PREFIX}companions": companions},
                )
            case DirectoryKept(identifier, cause):
                self._spans.note(
                    "directory kept",
                    {f"{PREFIX}identifier": identifier, f"{PREFIX}detail": cause},
                )
            case LayerUnreachable(_, trouble):
                self._spans.note(
                    "layer unreachable",
                    {
                        f"{PREFIX}source": trouble.layer.source,
                        f"{PREFIX}digest": str(trouble.layer.digest),
                        f"{PREFIX}reason": trouble.reason.value,
                        f"{PREFIX}detail": trouble.detail,
                    },
                )
            case CircuitOpened(source, cause):
                self._spans.note(
                    "circuit opened",
                    {f"{PREFIX}source": source, f"{PREFIX}reason": cause.reason.value},
                )
            case _:
                # The others happen in the background, or are no more than lines of the log.
                pass

    def _decided(self, event: LayerDecided) -> None:
        outcome = event.outcome
        if isinstance(outcome, Hit):
            answer = ("hit", Reason.HIT, outcome.layer.source, "")
        else:
            answer = ("miss", outcome.reason, outcome.source, outcome.detail)
        word, reason, source, detail = answer
        self._spans.past(
            "decision",
            event.seconds,
            {
                f"{PREFIX}outcome": word,
                f"{PREFIX}reason": reason.value,
                f"{PREFIX}source": source,
                f"{PREFIX}detail": detail,
                f"{PREFIX}digest": event.digest,
                f"{PREFIX}target": event.target,
                f"{PREFIX}image": event.image,
            },
            "" if reason.healthy else detail or reason.value,
        )
