"""One call: how its request comes, how its handler is run, and how it is answered."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Never

import grpc

from cvmfs_snapshotter.adapters.logs.logger import Logger

from . import core
from .turn import step_aside

_NUMBERS = {code: code.value[0] for code in grpc.StatusCode}

_SHORT = 64 * 1024
"""Longest message, in bytes, that may wait in memory for a client that reads nothing."""


class _AbortedError(Exception):
    """A handler has ended its call by ``abort``."""


class Call:
    """A call in progress.

    To a handler it is the part of ``grpc.ServicerContext`` that handlers of this program use.
    Its events come to the thread that takes calls in; all else may be done by any thread.
    """

    def __init__(
        self, event: core.NewCall, ended: Callable[["Call"], None], logger: Logger
    ) -> None:
        """Start with a call that has come in.

        Args:
            event: its event.
            ended: called once nothing of it is to come any more.
            logger: takes defects.
        """
        self._call = event.call
        self._metadata = event.invocation_metadata
        self._ended = ended
        self._logger = logger
        self._handler: grpc.RpcMethodHandler[Any, Any] | None = None
        self._request: bytes | None = None
        self._lock = threading.Lock()
        self._due = 0
        self._answering = False
        self._answered = False
        self._cancelled = False
        self._sent: threading.Lock | None = None
        self._code: grpc.StatusCode | None = None
        self._details = ""

    def receive(self, handler: "grpc.RpcMethodHandler[Any, Any]") -> None:
        """Ask for the request, which ``handler`` will be run with, and for the end."""
        self._handler = handler
        self._due = 2
        self._call.start_server_batch((core.ReceiveClose(core.NO_FLAGS),), self._on_close)
        self._call.start_server_batch((core.ReceiveMessage(core.NO_FLAGS),), self._on_message)

    def reject(self, code: grpc.StatusCode, details: str) -> None:
        """Answer with an error, and without having looked at the request."""
        self._due = 1
        self._call.start_server_batch((core.ReceiveClose(core.NO_FLAGS),), self._on_close)
        self._answer(code, details)

    # Each of these gives the call if it is to be run now.

    def _on_close(self, event: core.Event) -> "Call | None":
        with self._lock:
            self._cancelled = bool(event.batch_operations[0].cancelled())
            if self._cancelled:
                self._wake()
        self._one_less()
        return None

    def _on_message(self, event: core.Event) -> "Call | None":
        self._request = event.batch_operations[0].message()
        if self._request is None:
            # The client has ended the call, or has sent more than is taken in.
            self._answer(grpc.StatusCode.UNIMPLEMENTED, "a call takes one request, none came")
        self._one_less()
        return None if self._request is None else self

    def _on_sent(self, _: core.Event) -> "Call | None":
        with self._lock:
            self._wake()
        self._one_less()
        return None

    def _on_answered(self, _: core.Event) -> "Call | None":
        self._one_less()
        return None

    def _one_less(self) -> None:
        with self._lock:
            self._due -= 1
            over = not self._due and (self._answered or self._cancelled)
        if over:
            self._ended(self)

    def run(self) -> None:
        """Run the handler and answer."""
        handler, data = self._handler, self._request
        self._handler = self._request = None
        if handler is None or data is None:
            raise AssertionError("only a call whose request has come is run")
        if self._cancelled:
            return
        try:
            self._run(handler, data)
        except BaseException as error:
            # Whatever it is, the thread has to serve others. An abort stays one if something goes
            # wrong on its way out.
            if not isinstance(error, _AbortedError):
                self._logger.exception("call failed because of a defect outside of its handler")
            self._answer(self._code or grpc.StatusCode.UNKNOWN, self._details)

    def _run(self, handler: "grpc.RpcMethodHandler[Any, Any]", data: bytes) -> None:
        read, write = handler.request_deserializer, handler.response_serializer
        request = data if read is None else read(data)
        if handler.unary_unary is not None:
            answer = handler.unary_unary(request, self)  # type: ignore[arg-type]
            self._answer(grpc.StatusCode.OK, "", answer if write is None else write(answer))
        elif handler.unary_stream is not None:
            answers = handler.unary_stream(request, self)  # type: ignore[arg-type]
            self._stream(map(write or bytes, answers), answers)
        else:
            raise AssertionError("a request is one message")

    def _stream(self, messages: Iterator[bytes], answers: Iterator[Any]) -> None:
        # A short message is kept until the next one is there: the last one goes out together with
        # the status. A long one is not, as whoever makes the messages wants to see it leave.
        try:
            message = next(messages, None)
            while message is not None:
                following, short = None, len(message) <= _SHORT
                if short:
                    try:
                        following = next(messages, None)
                    except BaseException:
                        # What was given before an error comes before it.
                        self._send(message)
                        raise
                    if following is None:
                        break
                if not self._send(message):
                    return
                message = following if short else next(messages, None)
        finally:
            close: Callable[[], None] = getattr(answers, "close", lambda: None)
            close()
        self._answer(grpc.StatusCode.OK, "", message)

    def _send(self, message: bytes) -> bool:
        """Send one message of several; returns once it is on its way, with whether it is."""
        step_aside()
        with self._lock:
            if not self._is_active():
                return False
            sent = self._sent = threading.Lock()
            sent.acquire()
            self._start((core.SendMessage(message, core.NO_FLAGS),), self._on_sent)
        sent.acquire()
        with self._lock:
            return self._is_active()

    def _wake(self) -> None:
        sent, self._sent = self._sent, None
        if sent is not None:
            sent.release()

    def _answer(self, code: grpc.StatusCode, details: str, message: bytes | None = None) -> None:
        # A text of a request or of the system may be in the details, with a lone surrogate in it.
        text = details.encode(errors="replace")
        with self._lock:
            if not self._is_active():
                return
            self._answered = True
            operations = [core.SendStatus(None, _NUMBERS[code], text, core.NO_FLAGS)]
            if message is not None:
                operations.append(core.SendMessage(message, core.NO_FLAGS))
            self._start(operations, self._on_answered)

    def _start(self, operations: Any, done: Callable[[core.Event], "Call | None"]) -> None:
        first = () if self._answering else (core.SendMetadata(None, core.NO_FLAGS),)
        self._answering = True
        self._due += 1
        self._call.start_server_batch((*first, *operations), done)

    def _is_active(self) -> bool:
        return not self._cancelled and not self._answered

    # What handlers use of `grpc.ServicerContext`.

    def abort(self, code: grpc.StatusCode, details: str) -> Never:
        """End the call with an error; see ``grpc.ServicerContext``."""
        if code is grpc.StatusCode.OK:
            code, details = grpc.StatusCode.UNKNOWN, ""
        self._code, self._details = code, details
        raise _AbortedError

    def is_active(self) -> bool:
        """Tell whether the client still waits for an answer."""
        with self._lock:
            return self._is_active()

    def cancel(self) -> None:
        """End the call at once; its client hears CANCELLED."""
        self._call.cancel()

    def invocation_metadata(self) -> Any:
        """Give the metadata that the client has sent."""
        return self._metadata

    def code(self) -> grpc.StatusCode | None:
        """Give the code of ``abort``; None if that was not called."""
        return self._code

    def details(self) -> str:
        """Give the details of ``abort``."""
        return self._details
