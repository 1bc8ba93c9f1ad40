"""Spans of what a call does, within that of the call."""

import time
from collections.abc import Mapping

import attrs
from opentelemetry.trace import Span, Status, StatusCode, Tracer, get_current_span

from .texts import clean


@attrs.frozen
class InnerSpans:
    """Makes spans within calls that are recorded; what is done outside of those leaves none.

    Attributes:
        tracer: makes the spans.
    """

    tracer: Tracer

    def begin(self, name: str, attributes: Mapping[str, str | int]) -> Span | None:
        """Begin a part of the call of this thread.

        Args:
            name: of the span; there are few of them.
            attributes: of the span.

        Returns:
            The span, which has to be ended; None if there is no call that is recorded.
        """
        if not get_current_span().is_recording():
            return None
        return self.tracer.start_span(name, attributes=clean(attributes))

    def past(
        self, name: str, seconds: float, attributes: Mapping[str, str | int], problem: str = ""
    ) -> None:
        """Record a part of the call of this thread that has just ended.

        Args:
            name: of the span.
            seconds: how long it took.
            attributes: of the span.
            problem: what failed in it; empty if nothing did.
        """
        if not get_current_span().is_recording():
            return
        now = time.time_ns()
        span = self.tracer.start_span(
            name, attributes=clean(attributes), start_time=now - int(seconds * 1e9)
        )
        if problem:
            fail(span, problem)
        span.end(now)

    @staticmethod
    def note(name: str, attributes: Mapping[str, str | int]) -> None:
        """Record that something happened in the call of this thread."""
        span = get_current_span()
        if span.is_recording():
            span.add_event(name, clean(attributes))


def fail(span: Span, problem: str) -> None:
    """Say that what a span is about has failed, and why."""
    text = clean({"problem": problem}).get("problem", "")
    span.set_status(Status(StatusCode.ERROR, str(text)))
