import json
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import attrs
import pytest
from prometheus_client import Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from cvmfs_snapshotter.adapters.metrics.address import Address
from cvmfs_snapshotter.adapters.metrics.naming import new_registry
from cvmfs_snapshotter.adapters.metrics.pages import Page, Pages, Readiness
from cvmfs_snapshotter.adapters.metrics.server import (
    CONNECTIONS,
    HEAD_BYTES,
    PAGES,
    MetricsServer,
)
from tests.harness.processes import wait_until

WELL = Readiness(serving=True, records=True, sources={"unpacked": False})


@attrs.define
class Served:
    """A server, and what it told of failures."""

    server: MetricsServer
    pages: Pages
    address: Address
    failures: list[str]

    def connect(self) -> socket.socket:
        """Connect to it."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30.0)
        client.connect(self.address.path)
        return client

    def ask(self, path: str, method: str = "GET", headers: str = "") -> tuple[int, str, bytes]:
        """Give status, head and body of an answer."""
        return self.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())

    def send(self, request: bytes) -> tuple[int, str, bytes]:
        """Send bytes, and give status, head and body of the answer."""
        with closing(self.connect()) as client:
            client.sendall(request)
            head, _, body = _rest(client).partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), head.decode(), body


def _rest(client: socket.socket) -> bytes:
    """Read until the other side has closed."""
    data = b""
    while chunk := client.recv(65536):
        data += chunk
    return data


def _closed(client: socket.socket) -> bool:
    """Tell whether the other side closes without an answer."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def _refuses(client: socket.socket, data: bytes) -> bool:
    """Tell whether the other side takes no more."""
    try:
        client.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


Serve = Callable[..., Served]


@pytest.fixture
def directory() -> Iterator[Path]:
    """Give a directory with a short path."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def serve(directory: Path) -> Iterator[Serve]:
    """Give a function that serves until the test ends."""
    with ExitStack() as stack:

        def start(
            address: Address | None = None,
            readiness: Callable[[], Readiness] = lambda: WELL,
            **limits: Any,
        ) -> Served:
            registry = new_registry()
            Counter("hits", "Hits.", namespace="a", registry=registry).inc()
            pages = Pages(registry, readiness)
            failures: list[str] = []
            where = address or Address(path=str(directory / "s"))
            server = MetricsServer(
                where, pages, lambda what, why: failures.append(f"{what}: {why!r}"), **limits
            )
            server.start()
            stack.callback(server.stop, 30.0)
            return Served(server, pages, where, failures)

        yield start


def test_metrics(serve: Serve) -> None:
    """Metrics come as text, and as OpenMetrics for those who accept it."""
    served = serve()

    status, head, body = served.ask("/metrics")
    assert (200, True) == (status, "Content-Type: text/plain" in head)
    assert b"a_hits_total 1.0" in body.splitlines()
    accept = "accept: application/openmetrics-text; version=1.0.0\r\n"
    status, head, body = served.ask("/metrics", headers=accept)
    assert (200, True) == (status, "Content-Type: application/openmetrics-text" in head)
    families = text_string_to_metric_families(body.decode())  # type: ignore[no-untyped-call]
    assert ["a_hits"] == [family.name for family in families]


def test_head(serve: Serve) -> None:
    """HEAD has the head that GET would have, and nothing after it."""
    served = serve()
    _, expected, _ = served.ask("/metrics")

    assert (200, expected, b"") == served.ask("/metrics", "HEAD")


def test_health(serve: Serve) -> None:
    """Health is one word, and details where they are asked for."""
    served = serve()

    assert (200, b"ok\n") == served.ask("/healthz")[::2]
    assert (200, b"ok\n") == served.ask("/readyz")[::2]
    status, head, body = served.ask("/readyz?verbose")
    assert (200, True) == (status, "Content-Type: application/json" in head)
    expected = {"serving": True, "records": True, "sources": {"unpacked": False}, "status": "ok"}
    assert expected == json.loads(body)


@pytest.mark.parametrize(("serving", "records"), [(False, True), (True, False), (False, False)])
def test_not_ready(serve: Serve, serving: bool, records: bool) -> None:
    """Who does not serve is not ready, and alive all the same."""
    served = serve(readiness=lambda: Readiness(serving, records, {}))

    assert (503, b"not ready\n") == served.ask("/readyz")[::2]
    status, _, body = served.ask("/readyz?verbose=1")
    assert (503, serving, records) == (
        status,
        json.loads(body)["serving"],
        json.loads(body)["records"],
    )
    assert 200 == served.ask("/healthz")[0]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/ HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics HTTP/2\r\n\r\n", 400),
        (b"\x16\x03\x01\xff\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * HEAD_BYTES + b"\r\n\r\n", 431),
    ],
)
def test_refused_requests(serve: Serve, request_: bytes, status: int) -> None:
    """What is no request for a page is refused, and the next one is answered."""
    served = serve()

    assert status == served.send(request_)[0]
    assert 200 == served.ask("/metrics")[0]
    assert [] == served.failures


def test_clients_that_hang(serve: Serve) -> None:
    """As many clients as there is room for may say nothing: the next one is answered."""
    served = serve(seconds=600.0)
    with ExitStack() as stack:
        silent = [stack.enter_context(closing(served.connect())) for _ in range(CONNECTIONS)]
        silent[0].sendall(b"GET ")
        assert 200 == served.ask("/metrics")[0]
        assert _closed(silent[0])
        assert 200 == served.ask("/healthz")[0]
        silent[-1].sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert _rest(silent[-1]).endswith(b"ok\n")


def test_client_that_drips(serve: Serve) -> None:
    """Who sends a little now and then has no more time than others."""
    served = serve(seconds=0.3)
    with closing(served.connect()) as client:
        wait_until("it is let go", lambda: _refuses(client, b"x"))


def test_client_that_does_not_read(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that nobody reads is given up."""
    # Long enough for a busy machine to begin the answer.
    served = serve(seconds=3.0)
    long = Page(200, b"x" * (8 << 20))
    monkeypatch.setattr(served.pages, "metrics", lambda _: long)
    with closing(served.connect()) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert b"H" == client.recv(1)
        wait_until("it is given up", lambda: not served.server._open)
        assert len(_rest_or_reset(client)) < len(long.body)
    assert [] == served.failures


def _rest_or_reset(client: socket.socket) -> bytes:
    """Read what comes until the other side has closed, in whichever way."""
    data = b""
    try:
        while chunk := client.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def test_pages_that_hang(serve: Serve) -> None:
    """While pages wait for the records, liveness is answered, and further pages are refused."""
    go_on = threading.Event()

    def wait() -> Readiness:
        go_on.wait(60.0)
        return WELL

    served = serve(readiness=wait)
    with ExitStack() as stack:
        waiting = [stack.enter_context(closing(served.connect())) for _ in range(PAGES)]
        for client in waiting:
            client.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
        wait_until("all of them wait", lambda: served.server._making == PAGES)
        assert 200 == served.ask("/healthz")[0]
        assert 503 == served.ask("/metrics")[0]
        go_on.set()
        assert [True] * PAGES == [_rest(client).endswith(b"ok\n") for client in waiting]
        assert 200 == served.ask("/metrics")[0]


def test_page_that_comes_too_late(serve: Serve) -> None:
    """A client whose page takes too long is let go, and the page is no longer counted after."""
    go_on = threading.Event()

    def wait() -> Readiness:
        go_on.wait(60.0)
        return WELL

    served = serve(readiness=wait, seconds=0.2)
    with closing(served.connect()) as client:
        client.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
        assert _closed(client)
    go_on.set()
    wait_until("it is made", lambda: served.server._making == 0)
    assert 200 == served.ask("/readyz")[0]


def test_page_that_fails(serve: Serve) -> None:
    """A defect is told and answered, and does not end the server."""

    def fail() -> Readiness:
        raise ValueError("defect")

    served = serve(readiness=fail)

    assert 500 == served.ask("/readyz")[0]
    assert ["a page could not be made: ValueError('defect')"] == served.failures
    assert 200 == served.ask("/healthz")[0]


def test_no_thread(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, a page is refused, and the next one is made."""
    served = serve()
    with monkeypatch.context() as patch:

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", refuse)
        assert 503 == served.ask("/metrics")[0]
    assert 200 == served.ask("/metrics")[0]


def test_the_socket(serve: Serve, directory: Path) -> None:
    """The socket is for root alone from its first moment, and gone at the end."""
    before = os.umask(0)
    try:
        served = serve()
    finally:
        os.umask(before)
    mode = (directory / "s").stat().st_mode

    assert (True, 0o600) == (stat.S_ISSOCK(mode), stat.S_IMODE(mode))
    assert served.server.stop(30.0)
    assert not (directory / "s").exists()


def test_tcp(serve: Serve) -> None:
    """An address of TCP is served, and free again at the end."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
    served = serve(Address(host="127.0.0.1", port=port))

    with closing(socket.create_connection(("127.0.0.1", port), 30.0)) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert _rest(client).endswith(b"ok\n")
    assert served.server.stop(30.0)
    socket.create_server(("127.0.0.1", port)).close()


def test_address_in_use(serve: Serve, directory: Path) -> None:
    """An address that others have is told once for each try, and served as soon as it is free."""
    taken = directory / "s"
    taken.touch()
    served = serve(retry=0.05)

    assert "cannot be served on unix:" in served.failures[0]
    taken.unlink()
    wait_until("it serves", taken.is_socket)
    wait_until("it answers", lambda: served.ask("/healthz")[0] == 200)


def test_stop_while_the_address_is_in_use(serve: Serve, directory: Path) -> None:
    """A server that has never served ends at once."""
    (directory / "s").touch()
    served = serve()

    assert served.server.stop(30.0)
    assert (directory / "s").is_file()


def test_stop_while_clients_wait(serve: Serve) -> None:
    """Neither a silent client nor a page that hangs holds the end up."""
    go_on = threading.Event()

    def wait() -> Readiness:
        go_on.wait(60.0)
        return WELL

    served = serve(readiness=wait, seconds=600.0)
    with closing(served.connect()) as silent, closing(served.connect()) as asking:
        asking.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
        wait_until("it waits", lambda: served.server._making == 1)
        assert served.server.stop(10.0)
        assert _closed(silent)
        assert _closed(asking)
    go_on.set()
    assert [] == served.failures


def test_stop_before_the_start(directory: Path) -> None:
    """A server that was never started has nothing to end."""
    pages = Pages(new_registry(), lambda: WELL)

    assert MetricsServer(Address(path=str(directory / "s")), pages, lambda *_: None).stop(0.0)


@pytest.mark.parametrize(
    ("text", "exposed"),
    [
        ("127.0.0.1:9732", False),
        ("127.9.9.9:1", False),
        ("[::1]:65535", False),
        ("unix:/run/metrics/s", False),
        ("0.0.0.0:9732", True),
        ("[::]:9732", True),
        ("10.1.2.3:9732", True),
    ],
)
def test_addresses(text: str, exposed: bool) -> None:
    """An address is what it says, and known for whether others reach it."""
    address = Address.parse(text)

    assert (text, exposed) == (str(address), address.exposed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":9732",
        "9732",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:٣",
        "[127.0.0.1]:1",
        "::1:9732",
        "localhost:9732",
        "unix:",
        "unix:/",
        "unix:relative",
        "unix:/a/../b",
        "unix:/a\n",
        "unix:/" + "x" * 107,
    ],
)
def test_what_is_no_address(text: str) -> None:
    """Names, ports that cannot be, and paths that are too long are refused."""
    with pytest.raises(ValueError):  # noqa: PT011 - its message is made by the configuration
        Address.parse(text)
