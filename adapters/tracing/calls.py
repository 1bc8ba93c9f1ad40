"""Calls of clients as spans."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .texts import clean

_FAILURES = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""Codes that are a server's failure; all others are answers (OpenTelemetry, semantic conventions
for gRPC, "gRPC Status")."""

_PARENT = TraceContextTextMapPropagator()


class CallSpan:
    """The span of a call that is running."""

    def __init__(self, span: Span) -> None:
        """Begin with a span that has started.

        Args:
            span: of the call.
        """
        self._span = span
        self._context = set_span_in_context(span, contexts.Context())

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let what this thread does in the block belong to the call."""
        token = contexts.attach(self._context)
        try:
            yield
        finally:
            contexts.detach(token)

    def end(self, code: str, number: int, message: str) -> None:
        """End the call.

        Args:
            code: name of its status.
            number: of its status.
            message: of its status; empty if there is none.
        """
        self._span.set_attribute("rpc.grpc.status_code", number)
        if code in _FAILURES:
            self._span.set_attribute("error.type", code)
            text = str(clean({"message": message}).get("message", code))
            self._span.set_status(Status(StatusCode.ERROR, text))
        self._span.end()


class CallSpans:
    """Begins a span for each call, within the trace of who calls.

    Names are those of the semantic conventions that containerd's own client keeps to, so that both
    ends of a call look alike.
    """

    def __init__(self, tracer: Tracer) -> None:
        """Begin with no call.

        Args:
            tracer: makes the spans.
        """
        self._tracer = tracer

    def begin(
        self, path: str, metadata: Mapping[str, str], details: Mapping[str, str]
    ) -> CallSpan:
        """Begin a call.

        Args:
            path: ``/service/method``, as gRPC has it.
            metadata: of the call. ``traceparent`` and ``tracestate`` say which trace it belongs to
                (W3C Trace Context); what is malformed is ignored, as that asks.
            details: about the request, by name of the attribute.
        """
        service, _, method = path[1:].partition("/")
        namespace = metadata.get("containerd-namespace", "")
        span = self._tracer.start_span(
            f"{service}/{method}",
            # Whatever this thread did before has nothing to do with it.
            context=_PARENT.extract(metadata, contexts.Context()),
            kind=SpanKind.SERVER,
            attributes=clean(
                {
                    "rpc.system": "grpc",
                    "rpc.service": service,
                    "rpc.method": method,
                    "containerd.namespace": namespace,
                    **details,
                }
            ),
        )
        return CallSpan(span)
