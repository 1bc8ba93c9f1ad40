"""The server: it takes calls in, finds their handlers, and ends."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import attrs
import grpc

from cvmfs_snapshotter.adapters.logs.logger import Logger

from . import core
from .call import Call
from .turn import Turn

Handler = grpc.RpcMethodHandler

_NEW_CALL = object()
_SHUT_DOWN = object()

PATIENCE = 0.02
"""Seconds that a call may keep others from being taken in without having said that it waits."""


@attrs.frozen
class _Details(grpc.HandlerCallDetails):
    """What an interceptor is told about a call."""

    method: str
    invocation_metadata: Any


class CoreServer:
    """Serves handlers whose requests are one message.

    It is the part of ``grpc.Server`` that this program uses, and does what that does, but for who
    runs a handler: the thread that has taken the call in. See ``step_aside``.
    """

    def __init__(
        self,
        threads: int,
        interceptors: Sequence[grpc.ServerInterceptor],
        options: Sequence[tuple[str, object]],
        logger: Logger,
    ) -> None:
        """Make the server; no thread runs yet.

        Args:
            threads: how many calls may run at the same time; further ones wait.
            interceptors: the first one sees each call first.
            options: of the channel, as ``grpc.server`` takes them.
            logger: takes defects.
        """
        self._most = threads
        self._logger = logger
        self._queue = core.CompletionQueue()
        self._server = core.Server(options, False)  # noqa: FBT003 - its only form
        self._server.register_completion_queue(self._queue)
        self._methods: dict[str, Handler[Any, Any]] = {}
        self._generic: list[grpc.GenericRpcHandler] = []
        self._find: Callable[[grpc.HandlerCallDetails], Handler[Any, Any] | None] = self._lookup
        for interceptor in reversed(interceptors):
            self._find = _around(interceptor, self._find)
        self._turn = Turn(self._more_threads)
        self._lock = threading.Lock()
        self._threads = 0
        self._calls: set[Call] = set()
        self._started = False
        self._stopping = False
        self._cancel_at = float("inf")
        self._is_shut_down = False
        self._over = threading.Event()

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: "Mapping[str, Handler[Any, Any]]"
    ) -> None:
        """Serve methods of a service; see ``grpc.Server``."""
        for name, handler in method_handlers.items():
            self._methods[f"/{service_name}/{name}"] = handler

    def add_generic_rpc_handlers(
        self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]
    ) -> None:
        """Serve what these find a handler for; see ``grpc.Server``."""
        self._generic.extend(generic_rpc_handlers)

    def bind(self, address: str) -> bool:
        """Listen at an address, in the form that gRPC has for it; tells whether that works."""
        try:
            return bool(self._server.add_http2_port(address.encode()))
        except RuntimeError:
            return False

    def start(self) -> None:
        """Begin to serve; returns at once."""
        self._server.start()
        self._started = True
        self._request_call()
        self._more_threads()
        threading.Thread(target=self._oversee, name="rpc-oversee", daemon=True).start()

    def stop(self, grace: float) -> threading.Event:
        """Take no more calls, and cancel after a while those that are not answered.

        Args:
            grace: seconds until then.

        Returns:
            Set once all is over.
        """
        with self._lock:
            self._cancel_at = min(self._cancel_at, time.monotonic() + grace)
            first, self._stopping = not self._stopping, True
            if not self._started:
                self._over.set()
            elif first:
                # Inside: its event may come at once, to a thread that destroys the server then.
                self._server.shutdown(self._queue, _SHUT_DOWN)
        self._turn.keep_awake()
        return self._over

    def _cancel_if_due(self) -> None:
        with self._lock:
            if time.monotonic() >= self._cancel_at and not self._over.is_set():
                self._server.cancel_all_calls()

    def _more_threads(self) -> None:
        with self._lock:
            if self._threads == self._most or self._over.is_set():
                return
            self._threads += 1
            number = self._threads
        try:
            threading.Thread(target=self._work, name=f"rpc-{number}", daemon=True).start()
        except RuntimeError:
            # The limit of the system. Whoever is done takes calls in, or there is room again: this
            # is tried again for as long as nobody does.
            with self._lock:
                self._threads -= 1

    def _oversee(self) -> None:
        while not self._over.is_set():
            self._turn.take_away(PATIENCE)
            if self._turn.is_unwanted():
                self._more_threads()
            self._cancel_if_due()
            self._turn.wait_until_stirred(PATIENCE)

    def _work(self) -> None:
        while True:
            self._turn.take()
            call = self._next()
            if call is None:
                self._turn.leave()
                return
            self._turn.begin()
            call.run()
            # Neither the call nor its objects in the core may wait for the next one.
            del call

    def _next(self) -> Call | None:
        """Handle what comes until a call is ready to be run; None if all is over."""
        while not self._over.is_set():
            event = self._queue.poll(None)
            try:
                ready = self._handle(event)
            except BaseException:
                self._logger.exception("an event of a call was lost because of a defect")
                ready = None
            # It holds a call: kept while the next one is awaited, it would keep that too.
            del event
            if ready is not None:
                return ready
        return None

    def _handle(self, event: core.Event) -> Call | None:
        if event.tag is _NEW_CALL:
            self._begin(cast("core.NewCall", event))
            return None
        if event.tag is _SHUT_DOWN:
            self._is_shut_down = True
            self._end_if_over()
            return None
        ready: Call | None = event.tag(event)
        return ready

    def _request_call(self) -> None:
        self._server.request_call(self._queue, self._queue, _NEW_CALL)

    def _begin(self, event: core.NewCall) -> None:
        if not event.success:
            return
        with self._lock:
            if not self._stopping:
                self._request_call()
        call = Call(event, self._ended, self._logger)
        self._calls.add(call)
        path = event.call_details.method.decode(errors="replace")
        details = _Details(path, event.invocation_metadata)
        try:
            handler = self._find(details)
        except BaseException:
            self._logger.exception("no handler could be found because of a defect")
            call.reject(grpc.StatusCode.UNKNOWN, "")
            return
        if handler is None:
            call.reject(grpc.StatusCode.UNIMPLEMENTED, "there is no such method")
        else:
            call.receive(handler)

    def _lookup(self, details: grpc.HandlerCallDetails) -> "Handler[Any, Any] | None":
        found = self._methods.get(details.method)
        if found is None:
            for generic in self._generic:
                found = generic.service(details)
                if found is not None:
                    break
        return found

    def _ended(self, call: Call) -> None:
        self._calls.discard(call)
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._is_shut_down and not self._calls:
            with self._lock:
                self._server.destroy()
                self._over.set()
            self._turn.keep_awake()


def _around(
    interceptor: grpc.ServerInterceptor,
    find: "Callable[[grpc.HandlerCallDetails], Handler[Any, Any] | None]",
) -> "Callable[[grpc.HandlerCallDetails], Handler[Any, Any] | None]":
    return lambda details: interceptor.intercept_service(find, details)
