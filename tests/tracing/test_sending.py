import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from cvmfs_snapshotter.adapters.tracing.sending import Sender, SendError
from cvmfs_snapshotter.adapters.tracing.settings import Endpoint
from tests.harness.collector import Collector

from .recording import Recording


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Give a collector that listens."""
    with Collector().running() as made:
        yield made


def _send(endpoint: str, seconds: float = 10.0) -> None:
    """Send one span."""
    recording = Recording()
    with recording.call():
        recording.inner.note("something", {"text": "what \udcff it was"})
    Sender(Endpoint.parse(endpoint), seconds).send(recording.ended)


def test_a_span_arrives(collector: Collector) -> None:
    """A collector decodes what is sent to it, also where a text has undecodable bytes in it."""
    _send(collector.endpoint)

    (span,) = collector.spans()
    assert ("call", "cvmfs-snapshotter", "") == (span.name, span.service, span.parent)
    assert ("something",) == span.events
    assert not span.failed


@pytest.mark.parametrize("status", [301, 400, 429, 503])
def test_a_refusal(collector: Collector, status: int) -> None:
    """Whatever is not success is told with its status; a redirect is not followed."""
    collector.status = status
    with pytest.raises(SendError, match=f"it answers {status} "):
        _send(collector.endpoint)

    assert 1 == collector.requests


def test_nobody_there() -> None:
    """A collector that is down is told as such."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with pytest.raises(SendError, match="Connection refused"):
        _send(f"http://127.0.0.1:{port}")


def test_a_collector_that_hangs(collector: Collector) -> None:
    """A collector that does not answer is given up."""
    collector.hanging = True
    with pytest.raises(SendError, match="timed out"):
        _send(collector.endpoint, 0.2)


def _greet(server: socket.socket) -> None:
    """Say to one client what no server of HTTP says."""
    connection, _ = server.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"220 smtp at your service\r\n")


def test_somebody_else() -> None:
    """A server that speaks something else is told as such."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(10.0)
        thread = threading.Thread(target=_greet, args=(server,))
        thread.start()
        with pytest.raises(SendError, match="does not speak HTTP"):
            _send(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()


def test_no_proxy(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is not asked: spans go where they are configured to go."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    _send(collector.endpoint)

    assert 1 == len(collector.spans())


def test_tls_is_verified(collector: Collector) -> None:
    """With https nothing is sent to whoever cannot prove to be the collector."""
    sender = Sender(Endpoint.parse(f"https://127.0.0.1:{collector.port}"), 5.0)

    assert sender._tls is not None
    assert ssl.CERT_REQUIRED is sender._tls.verify_mode
    assert sender._tls.check_hostname
