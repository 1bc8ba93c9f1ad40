"""Tracing, put together; imported only where it is configured."""

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.adapters.tracing.calls import CallSpans
from cvmfs_snapshotter.adapters.tracing.events import SpanEvents
from cvmfs_snapshotter.adapters.tracing.inner import InnerSpans
from cvmfs_snapshotter.adapters.tracing.outbox import Outbox
from cvmfs_snapshotter.adapters.tracing.provider import make_tracer
from cvmfs_snapshotter.adapters.tracing.sending import Sender
from cvmfs_snapshotter.adapters.tracing.settings import TracingSettings
from cvmfs_snapshotter.adapters.tracing.sources import TracedSources
from cvmfs_snapshotter.adapters.tracing.store import TracedStore
from cvmfs_snapshotter.domain.ports.layers import LayerSources
from cvmfs_snapshotter.domain.ports.store import Store

from .rpc.traced import Traced


class Tracing:
    """What makes spans of a daemon's calls, and sends them.

    Attributes:
        events: shows events.
        interceptor: shows calls.
    """

    def __init__(self, settings: TracingSettings, logger: Logger) -> None:
        """Put it together; nothing is sent yet.

        Args:
            settings: what is configured.
            logger: hears of spans that are lost.
        """
        self._settings = settings
        self._logger = logger
        self._outbox = Outbox(Sender(settings.endpoint).send, self._report)
        tracer = make_tracer(settings.ratio, __version__, self._outbox)
        self._spans = InnerSpans(tracer)
        self.events = SpanEvents(self._spans)
        self.interceptor = Traced(CallSpans(tracer).begin, logger)

    def traced_store(self, store: Store) -> Store:
        """Give a store whose transactions show."""
        return TracedStore(store, self._spans)

    def traced_sources(self, sources: LayerSources) -> LayerSources:
        """Give sources of which each question shows."""
        return TracedSources(sources, self._spans)

    def counts(self) -> dict[str, int]:
        """Tell what became of the spans: how many were sent, and how many lost."""
        return {"sent": self._outbox.sent, "lost": self._outbox.lost}

    def start(self) -> None:
        """Begin to send."""
        endpoint = self._settings.endpoint
        if endpoint.exposed:
            self._logger.warning(
                "spans are sent to another machine: they are not encrypted",
                endpoint=str(endpoint),
            )
        self._outbox.start()

    def stop(self, seconds: float) -> None:
        """Send what waits, and end that.

        Args:
            seconds: how long to wait for it at most.
        """
        self._outbox.stop(seconds)
        if self._outbox.lost:
            self._logger.warning("spans were lost", **self.counts())

    def _report(self, problem: str, lost: int) -> None:
        endpoint = str(self._settings.endpoint)
        if problem:
            self._logger.warning("spans are lost", cause=problem, endpoint=endpoint, lost=lost)
        else:
            self._logger.info("spans are sent again", endpoint=endpoint, lost=lost)
