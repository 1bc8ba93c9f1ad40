"""What became of the spans of a daemon that traces its calls."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from .naming import PREFIX


class SpanCollector(Collector):
    """Tells it at each scrape."""

    def __init__(
        self, counts: Callable[[], Mapping[str, int]], registry: CollectorRegistry
    ) -> None:
        """Begin to tell.

        Args:
            counts: gives how many spans had which fate.
            registry: gets the metric.
        """
        self._counts = counts
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the metric; see ``Collector.collect``."""
        spans = CounterMetricFamily(
            f"{PREFIX}_spans",
            "Spans of traced calls, by their fate: sent to the collector, or lost because it did "
            "not take them in time. Only where tracing is configured.",
            labels=["fate"],
        )
        for fate, count in self._counts().items():
            spans.add_metric([fate], count)
        yield spans
