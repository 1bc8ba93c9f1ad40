"""Calls as parts of a trace. A server whose calls are not traced has nothing of this."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import grpc

from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2

from .guard import Handler

_SERVICE = snapshots_pb2.DESCRIPTOR.services_by_name["Snapshots"].full_name
_METADATA = frozenset({"traceparent", "tracestate", "containerd-namespace"})
_FIELDS = ("key", "name", "parent")


class CallSpan(Protocol):
    """The span of a call that is running."""

    def current(self) -> AbstractContextManager[None]:
        """Let what this thread does in the block belong to the call."""
        ...

    def end(self, code: str, number: int, message: str) -> None:
        """End the call with name and number of its status, and the message of that."""
        ...


class _Answered(Protocol):
    """The part of ``grpc.ServicerContext`` that its stubs do not have."""

    def code(self) -> grpc.StatusCode | None:
        """Give the status, if one was set."""
        ...

    def details(self) -> str | bytes | None:
        """Give the message of the status, if one was set."""
        ...


Begin = Callable[[str, Mapping[str, str], Mapping[str, str]], CallSpan]
"""Begins the span of a call: path, metadata, and what the request is about."""


class Traced(grpc.ServerInterceptor):
    """Puts a span around every call of containerd's. It stands before all other interceptors."""

    def __init__(self, begin: Begin, logger: Logger) -> None:
        """Begin to trace.

        Args:
            begin: begins the span of a call.
            logger: takes defects of tracing, which are nothing that a call fails for.
        """
        self._begin = begin
        self._logger = logger
        self._traced: dict[str, Handler] = {}

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Put the span around the handler of a call; see ``grpc.ServerInterceptor``."""
        # Whoever comes next wants to see each call.
        handler = continuation(handler_call_details)
        path = handler_call_details.method
        # The watchdog's look at the service's health, for one, is no business of containerd's.
        if handler is None or not path.startswith(f"/{_SERVICE}/"):
            return handler
        traced = self._traced.get(path)
        if traced is None:
            self._traced[path] = traced = self._trace(path, handler)
        return traced

    def _trace(self, path: str, handler: "Handler") -> "Handler":
        codec = handler.request_deserializer, handler.response_serializer
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(path, handler.unary_stream), *codec
            )
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._single(path, handler.unary_unary), *codec
            )
        return handler

    def _single(
        self, path: str, behaviour: Callable[[Any, grpc.ServicerContext], Any]
    ) -> Callable[[Any, grpc.ServicerContext], Any]:
        def call(request: object, context: grpc.ServicerContext) -> Any:
            span = self._begun(path, request, context)
            if span is None:
                return behaviour(request, context)
            try:
                with span.current():
                    return behaviour(request, context)
            finally:
                self._end(span, context)

        return call

    def _stream(
        self, path: str, behaviour: Callable[[Any, grpc.ServicerContext], Iterator[Any]]
    ) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
        def call(request: object, context: grpc.ServicerContext) -> Iterator[Any]:
            span = self._begun(path, request, context)
            answers = behaviour(request, context)
            if span is None:
                yield from answers
                return
            try:
                yield from _each(answers, span)
            finally:
                self._end(span, context)

        return call

    def _begun(self, path: str, request: object, context: grpc.ServicerContext) -> CallSpan | None:
        try:
            metadata = {
                key: value
                for key, value in context.invocation_metadata()
                if key in _METADATA and isinstance(value, str)
            }
            about = {f"containerd.snapshot.{f}": getattr(request, f, "") for f in _FIELDS}
            return self._begin(path, metadata, about)
        except Exception:
            self._logger.exception("a call could not be traced")
            return None

    def _end(self, span: CallSpan, context: grpc.ServicerContext) -> None:
        try:
            answered = cast("_Answered", context)
            # Without a status a call succeeds, unless its client has gone before the end.
            usual = grpc.StatusCode.OK if context.is_active() else grpc.StatusCode.CANCELLED
            code = answered.code() or usual
            span.end(code.name, code.value[0], _text(answered.details()))
        except Exception:
            self._logger.exception("the span of a call could not be ended")


def _each(answers: Iterator[Any], span: CallSpan) -> Iterator[Any]:
    # What a thread does between two answers is not known: the span is current only while one is
    # being made.
    nothing = object()
    try:
        while True:
            with span.current():
                answer = next(answers, nothing)
            if answer is nothing:
                return
            yield answer
    finally:
        close: Callable[[], None] = getattr(answers, "close", lambda: None)
        close()


def _text(details: str | bytes | None) -> str:
    return details.decode(errors="replace") if isinstance(details, bytes) else details or ""
