"""A collector of spans: OTLP over HTTP, with what it got to be looked at."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

Value = str | int | float | bool


@attrs.frozen
class Got:
    """A span that arrived.

    Attributes:
        service: Of whom it tells.
        trace: Identifier of its trace, in hexadecimal digits.
        identifier: Its own.
        parent: That of the span it belongs to; empty for none.
    """

    service: str
    trace: str
    identifier: str
    parent: str
    name: str
    attributes: dict[str, Value]
    events: tuple[str, ...]
    seconds: float
    failed: bool
    message: str


class Collector:
    """Takes spans, or behaves badly.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        status: What it answers.
        hanging: It answers nothing until this is cleared.
        requests: How many there were.
    """

    def __init__(self) -> None:
        self.status = 200
        self.hanging = False
        self.requests = 0
        self._spans: list[Got] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Take a request."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert "application/x-protobuf" == self.headers["Content-Type"]
                collector._take(self.path, body)
                while collector.hanging and not collector._over.wait(0.05):
                    pass
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def endpoint(self) -> str:
        """As it is configured."""
        return f"http://127.0.0.1:{self.port}"

    def _take(self, path: str, body: bytes) -> None:
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        with self._lock:
            self.requests += 1
            if path == "/v1/traces" and self.status == 200 and not self.hanging:
                self._spans += _spans(request)

    def spans(self) -> list[Got]:
        """Give what has arrived so far."""
        with self._lock:
            return list(self._spans)

    def wait_for(self, wanted: Callable[[list[Got]], bool], seconds: float = 30.0) -> list[Got]:
        """Wait until what has arrived is as wanted, and give it.

        Raises:
            TimeoutError: It never was.
        """
        until = time.monotonic() + seconds
        while not wanted(self.spans()):
            if time.monotonic() > until:
                raise TimeoutError([span.name for span in self.spans()])
            time.sleep(0.05)
        return self.spans()

    @contextmanager
    def running(self) -> Iterator["Collector"]:
        """Listen for as long as the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._over.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def _spans(request: trace_service_pb2.ExportTraceServiceRequest) -> Iterator[Got]:
    for resource in request.resource_spans:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Got(
                    service=str(about["service.name"]),
                    trace=span.trace_id.hex(),
                    identifier=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    name=span.name,
                    attributes=_attributes(span.attributes),
                    events=tuple(event.name for event in span.events),
                    seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                    failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
                    message=span.status.message,
                )


def _attributes(pairs: Iterable[common_pb2.KeyValue]) -> dict[str, Value]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}
