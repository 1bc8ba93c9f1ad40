"""What surrounds every call: unreadable requests, errors, and the lines of the log."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Never, TypeAlias

import attrs
import grpc
from google.protobuf.message import DecodeError, Message

from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.domain.errors import InvalidArgumentError

from .calls import Calls
from .status import status_of
from .streams import Streams

# In quotes: only the stubs of grpcio make it generic.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@attrs.frozen
class _Unreadable:
    """Stands for a request that could not be read."""

    size: int


class Guard(grpc.ServerInterceptor):
    """Gives each outcome of a call its status.

    * A request that is no message of its type, or that has invalid UTF-8 in a text, is
      INVALID_ARGUMENT.
    * An error of the domain gets the code that containerd acts on.
    * Anything else is a defect of ours: INTERNAL without details, which stand in the log.
    """

    def __init__(
        self,
        logger: Logger,
        calls: Calls,
        streams: Streams,
        observe: Callable[[str, str, float], None] | None = None,
    ) -> None:
        """Start to guard.

        Args:
            logger: takes defects and, at level debug, every call.
            calls: counts the calls in flight.
            streams: watches the streams among them.
            observe: called with path, name of the code and seconds of every call that has ended.
        """
        self._observe = observe
        self._logger = logger
        self._calls = calls
        self._streams = streams
        self._guarded: dict[str, Handler] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Put the guard around the handler of a call; see ``grpc.ServerInterceptor``."""
        ended = self._streams.make_room()
        if ended:
            self.note_ended(ended)
        path = handler_call_details.method
        guarded = self._guarded.get(path)
        if guarded is None:
            handler = continuation(handler_call_details)
            guarded = None if handler is None else self._guard(path, handler)
            if guarded is not None:
                # The thread that calls this is the only one that takes calls in: a handler that is
                # made for each call would cost every caller. There are as many as methods.
                self._guarded[path] = guarded
        return guarded

    def _guard(self, path: str, handler: "Handler") -> "Handler":
        if handler.request_deserializer is None:
            return handler
        read = _lenient(handler.request_deserializer)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(path, handler.unary_stream), read, handler.response_serializer
            )
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._single(path, handler.unary_unary), read, handler.response_serializer
            )
        return handler

    def note_ended(self, count: int) -> None:
        """Tell the operator that so many streams were ended."""
        self._logger.warning("streams that nobody read were ended", count=count)

    def _single(
        self, path: str, behaviour: Callable[[Any, grpc.ServicerContext], Any]
    ) -> Callable[[Any, grpc.ServicerContext], Any]:
        def call(request: object, context: grpc.ServicerContext) -> Any:
            started = time.monotonic()
            with self._calls.one():
                try:
                    answer = behaviour(_readable(request), context)
                except Exception as error:  # noqa: BLE001 - the outermost place
                    self._fail(path, error, context, started)
                self._note(path, grpc.StatusCode.OK, started)
            return answer

        return call

    def _stream(
        self, path: str, behaviour: Callable[[Any, grpc.ServicerContext], Iterator[Any]]
    ) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
        def call(request: object, context: grpc.ServicerContext) -> Iterator[Any]:
            started = time.monotonic()
            with self._calls.one():
                try:
                    answers = behaviour(_readable(request), context)
                    yield from self._streams.watch(answers, context)
                except GeneratorExit:
                    # The client has gone before the end.
                    self._note(path, grpc.StatusCode.CANCELLED, started)
                    raise
                except Exception as error:  # noqa: BLE001 - the outermost place
                    self._fail(path, error, context, started)
                self._note(path, grpc.StatusCode.OK, started)

        return call

    def _fail(
        self, path: str, error: Exception, context: grpc.ServicerContext, started: float
    ) -> Never:
        code, message = status_of(error)
        if code is grpc.StatusCode.INTERNAL:
            self._logger.error(
                "call failed because of a defect", method=_method(path), exc_info=error
            )
        self._note(path, code, started)
        context.abort(code, message)

    def _note(self, path: str, code: grpc.StatusCode, started: float) -> None:
        seconds = time.monotonic() - started
        if self._observe is not None:
            self._observe(path, code.name, seconds)
        if self._logger.is_enabled_for(logging.DEBUG):
            took = round(seconds * 1000, 3)
            self._logger.debug("call", method=_method(path), code=code.name, duration_ms=took)


def _method(path: str) -> str:
    return path.rpartition("/")[2]


def _lenient(read: Callable[[bytes], Message]) -> Callable[[bytes], Message | _Unreadable]:
    def read_or_note(data: bytes) -> Message | _Unreadable:
        # grpcio would answer INTERNAL, which is for failures of ours.
        try:
            return read(data)
        except (DecodeError, UnicodeDecodeError):
            return _Unreadable(len(data))

    return read_or_note


def _readable(request: object) -> object:
    if isinstance(request, _Unreadable):
        raise InvalidArgumentError(
            f"the request ({request.size} bytes) cannot be read: it is not a message of this "
            "call, or one of its texts is not UTF-8"
        )
    return request
