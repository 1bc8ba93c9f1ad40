"""Spans that are remembered instead of being sent."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import StatusCode, set_span_in_context

from cvmfs_snapshotter.adapters.tracing.inner import InnerSpans
from cvmfs_snapshotter.adapters.tracing.provider import make_tracer


class Recording(SpanProcessor):
    """Remembers spans that have ended.

    Attributes:
        ended: The spans, in the order in which they ended.
    """

    def __init__(self, ratio: float = 1.0) -> None:
        self.ended: list[ReadableSpan] = []
        self.tracer = make_tracer(ratio, "1.0", self)
        self.inner = InnerSpans(self.tracer)

    def on_end(self, span: ReadableSpan) -> None:
        """See ``SpanProcessor.on_end``."""
        self.ended.append(span)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Run the block as a call that is traced."""
        span = self.tracer.start_span("call")
        token = contexts.attach(set_span_in_context(span))
        try:
            yield
        finally:
            contexts.detach(token)
            span.end()

    def names(self) -> list[str]:
        """Give the names of all."""
        return [span.name for span in self.ended]

    def one(self, name: str) -> tuple[dict[str, object], str | None]:
        """Give attributes of the only span of a name, and what failed in it; None if nothing."""
        (span,) = (span for span in self.ended if span.name == name)
        failed = span.status.status_code is StatusCode.ERROR
        return dict(span.attributes or {}), (span.status.description or "") if failed else None
