"""The events of the domain as counters."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from cvmfs_snapshotter.domain.events import (
    CircuitOpened,
    CleanedUp,
    DirectoryKept,
    DirectoryMade,
    Event,
    LayerDecided,
    LayerUnreachable,
    UpkeepPutOff,
)
from cvmfs_snapshotter.domain.layer import Hit, Reason

from .naming import PREFIX, SLOW


class MetricEvents:
    """Implements ``Events``. Labels are reasons and configured names: they do not grow."""

    def __init__(self, registry: CollectorRegistry, sources: Sequence[str]) -> None:
        """Start with none.

        Args:
            registry: gets the metrics.
            sources: names of the configured sources.
        """

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace=PREFIX, registry=registry)

        self._decisions = counter(
            "decisions",
            "Layers that containerd asked for, by what was decided. Source is empty where none "
            "was asked.",
            *("outcome", "reason", "source"),
        )
        self._seconds = Histogram(
            "decision_duration_seconds",
            "Time from the question for a layer to the decision, its record included.",
            ("outcome",),
            namespace=PREFIX,
            registry=registry,
            buckets=SLOW,
        )
        self._above_local = counter(
            "hits_above_local",
            "Hits with a local layer somewhere below them, which was a miss or was never asked "
            "for.",
            "source",
        )
        self._bytes = counter(
            "hit_uncompressed_bytes",
            "Uncompressed size of the layers that were hits, as their publisher recorded it. It "
            "was neither downloaded nor unpacked; compressed sizes are not known here.",
            "source",
        )
        self._unsized = counter(
            "hits_of_unknown_size",
            "Hits whose publisher has recorded no size.",
            "source",
        )
        self._unreachable = counter(
            "layers_unreachable",
            "Snapshots refused because a remote layer below them could not be reached.",
            *("source", "reason"),
        )
        self._openings = counter(
            "circuit_openings",
            "Times that a source was given up until a trial succeeds.",
            *("source", "reason"),
        )
        self._cleanup = Histogram(
            "cleanup_duration_seconds",
            "Time that a Cleanup took.",
            namespace=PREFIX,
            registry=registry,
            buckets=SLOW,
        )
        self._deleted = counter(
            "cleanup_deleted", "Directories that Cleanups have deleted.", "kind"
        )
        self._kept = counter(
            "directories_kept", "Directories that could not be deleted and stay for the next time."
        )
        self._made = counter(
            "directories_made",
            "Directories of recorded snapshots that were missing and were made again, empty.",
        )
        self._put_off = counter(
            "upkeep_put_off", "Things to do at the start that were put off until the next one."
        )
        self._begin(sources)

    def _begin(self, sources: Sequence[str]) -> None:
        # An increase from nothing to 1 is none for Prometheus: what happens for the first time
        # must have been 0 before.
        for kind in ("snapshot", "companion"):
            self._deleted.labels(kind)
        for reason in Reason:
            outcome = "hit" if reason is Reason.HIT else "miss"
            for source in sources if reason is Reason.HIT else ("", *sources):
                self._decisions.labels(outcome, reason.value, source)
            for source in () if reason.healthy else sources:
                self._unreachable.labels(source, reason.value)
                self._openings.labels(source, reason.value)
        for source in sources:
            for each in (self._above_local, self._bytes, self._unsized):
                each.labels(source)

    def record(self, event: Event) -> None:
        """Count an event; see ``Events.record``."""
        match event:
            case LayerDecided():
                self._decided(event)
            case LayerUnreachable(_, trouble):
                self._unreachable.labels(trouble.layer.source, trouble.reason.value).inc()
            case CircuitOpened(source, cause):
                self._openings.labels(source, cause.reason.value).inc()
            case CleanedUp(directories, companions, seconds):
                self._cleanup.observe(seconds)
                self._deleted.labels("snapshot").inc(directories)
                self._deleted.labels("companion").inc(companions)
            case DirectoryKept():
                self._kept.inc()
            case DirectoryMade():
                self._made.inc()
            case UpkeepPutOff():
                self._put_off.inc()
            case _:
                # The others are no more than lines of the log.
                pass

    def _decided(self, event: LayerDecided) -> None:
        outcome = event.outcome
        if not isinstance(outcome, Hit):
            self._decisions.labels("miss", outcome.reason.value, outcome.source).inc()
            self._seconds.labels("miss").observe(event.seconds)
            return
        source = outcome.layer.source
        self._decisions.labels("hit", Reason.HIT.value, source).inc()
        self._seconds.labels("hit").observe(event.seconds)
        if event.above_local:
            self._above_local.labels(source).inc()
        if outcome.size is None:
            self._unsized.labels(source).inc()
        else:
            self._bytes.labels(source).inc(outcome.size)
