"""Sending spans to a collector: OTLP in protobuf over HTTP."""

import ssl
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan

from .settings import Endpoint

_SECONDS = 5.0
_HEADERS = {"Content-Type": "application/x-protobuf", "User-Agent": "cvmfs-snapshotter"}
_ANSWER_BYTES = 64 * 1024


class SendError(Exception):
    """The collector did not take the spans; the message says why."""


class Sender:
    """Sends each batch on a connection of its own, directly: no proxy is asked."""

    def __init__(self, endpoint: Endpoint, seconds: float = _SECONDS) -> None:
        """Connect to nobody yet.

        Args:
            endpoint: where the collector is.
            seconds: how long to wait for each step of a request.
        """
        self._endpoint = endpoint
        self._seconds = seconds
        self._tls = ssl.create_default_context() if endpoint.secure else None

    def send(self, spans: Sequence[ReadableSpan]) -> None:
        """Send spans once; they are not kept for a second try.

        Args:
            spans: which have ended.

        Raises:
            SendError: the collector cannot be reached, or refuses them.
        """
        body = encode_spans(spans).SerializeToString()
        connection = self._connection()
        try:
            connection.request("POST", self._endpoint.path, body, _HEADERS)
            answer = connection.getresponse()
            answer.read(_ANSWER_BYTES)
        except OSError as error:
            raise SendError(error.strerror or str(error)) from error
        except HTTPException as error:
            raise SendError(f"it does not speak HTTP: {error!r}") from error
        finally:
            connection.close()
        # Any 2xx is success, and a redirect is none (OTLP, "OTLP/HTTP Response").
        if answer.status // 100 != 2:  # noqa: PLR2004 - the class of the status
            raise SendError(f"it answers {answer.status} {answer.reason}")

    def _connection(self) -> HTTPConnection:
        host, port = self._endpoint.host, self._endpoint.port
        if self._tls is None:
            return HTTPConnection(host, port, timeout=self._seconds)
        return HTTPSConnection(host, port, timeout=self._seconds, context=self._tls)
