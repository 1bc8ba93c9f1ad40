"""An HTTP server for metrics and health, which nobody else waits for.

One thread talks to all clients. What may wait for the records runs in a few threads more, so that
liveness is answered even while they do not answer. A client gets ``SECONDS`` for all it does; with
too many of them, the one that has been there longest has to go.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable
from functools import partial

from .address import Address
from .pages import Page, Pages
from .requests import Request, parse, rendered

SECONDS = 10.0
"""How long one connection may last."""

CONNECTIONS = 32
"""Connections at the same time."""

PAGES = 4
"""Pages that are made at the same time, liveness apart."""

RETRY_SECONDS = 30.0
"""Pause before an address is tried again that could not be had."""

HEAD_BYTES = 8192
"""Longest head of a request."""

_NOT_FOUND = b"known are /metrics, /healthz and /readyz\n"


class MetricsServer:
    """Serves pages on one address. A failure of it is told, and is never one of the daemon."""

    def __init__(  # noqa: PLR0913 - all that can differ about it
        self,
        address: Address,
        pages: Pages,
        failed: Callable[[str, Exception], None],
        *,
        listen: Callable[[int], socket.socket] | None = None,
        seconds: float = SECONDS,
        retry: float = RETRY_SECONDS,
    ) -> None:
        """Make the server; no thread of it runs yet.

        Args:
            address: where to serve.
            pages: what to serve.
            failed: called with what could not be done, and why; does not raise.
            listen: makes a socket that listens there, or raises ``OSError``; takes the number of
                connections that may wait. The address's own way if None.
            seconds: how long one connection may last.
            retry: pause in seconds before an address is tried again that could not be had.
        """
        self._address = address
        self._make = listen or address.listen
        self._pages = pages
        self._failed = failed
        self._seconds = seconds
        self._retry = retry
        self._thread: threading.Thread | None = None
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._making = 0

    def start(self) -> None:
        """Begin to serve, or to try; returns once the address was tried for the first time."""
        first = self._listen()
        # A daemon thread: the process's end must not wait for a page that waits for a disk.
        self._thread = threading.Thread(
            target=self._run, args=(first,), name="metrics", daemon=True
        )
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """End the thread.

        Args:
            seconds: how long to wait for that at most.

        Returns:
            Whether it has ended.
        """
        if self._thread is None:
            self._loop.close()
            return True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _listen(self) -> socket.socket | None:
        try:
            return self._make(CONNECTIONS)
        except OSError as error:
            self._failed(f"metrics cannot be served on {self._address}", error)
            return None

    def _run(self, listening: socket.socket | None) -> None:
        try:
            with contextlib.closing(self._loop):
                self._loop.run_until_complete(self._serve(listening))
        except Exception as error:  # noqa: BLE001 - the outermost place of the thread
            self._failed("metrics are not served any more", error)

    async def _serve(self, listening: socket.socket | None) -> None:
        while listening is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._retry)
                return
            listening = self._listen()
        server = await asyncio.start_server(self._talk, sock=listening, limit=HEAD_BYTES)
        await self._stopping.wait()
        server.close()
        if self._address.path:
            with contextlib.suppress(OSError):
                os.unlink(self._address.path)  # noqa: PTH108 - paths are texts here
        talks = asyncio.all_tasks() - {asyncio.current_task()}
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= CONNECTIONS:
            # Out of the count at once: a burst must not end the same one again and again.
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(self._seconds):
                writer.write(await self._exchange(reader))
                writer.close()
                # Only then has the kernel all of it.
                await writer.wait_closed()
        except (TimeoutError, OSError, EOFError):
            # It has gone, or has to.
            pass
        except Exception as error:  # noqa: BLE001 - one client must not end the others
            self._failed("a request for metrics could not be answered", error)
        finally:
            self._open.pop(writer, None)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return rendered(Page(431, b"too long\n"), body=True)
        return await self._answer(parse(head[:-4]))

    async def _answer(self, request: Request | None) -> bytes:
        if request is None:
            return rendered(Page(400, b"not a request\n"), body=True)
        if request.method not in {"GET", "HEAD"}:
            return rendered(Page(405, b"GET or HEAD\n"), body=True)
        page = await self._page(request)
        return rendered(page, body=request.method == "GET")

    async def _page(self, request: Request) -> Page:
        if request.path == "/healthz":
            return self._pages.alive(verbose=request.verbose)
        if request.path == "/readyz":
            return await self._apart(partial(self._pages.ready, verbose=request.verbose))
        if request.path == "/metrics":
            accept = request.headers.get("accept", "")
            return await self._apart(partial(self._pages.metrics, accept))
        return Page(404, _NOT_FOUND)

    async def _apart(self, make: Callable[[], Page]) -> Page:
        if self._making >= PAGES:
            return Page(503, b"busy\n")
        future: asyncio.Future[Page] = self._loop.create_future()

        def work() -> None:
            try:
                page = make()
            except Exception as error:  # noqa: BLE001 - it is told, and answered
                # At the end of the daemon the records are closed under it.
                if not self._stopping.is_set():
                    self._failed("a page could not be made", error)
                page = Page(500, b"failed; the log says why\n")
            # The loop may have ended meanwhile.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._made, future, page)

        # Not an executor: the end of the process would wait for its threads.
        thread = threading.Thread(target=work, name="metrics-page", daemon=True)
        self._making += 1
        try:
            thread.start()
        except RuntimeError:
            self._making -= 1
            return Page(503, b"no thread is left\n")
        return await future

    def _made(self, future: "asyncio.Future[Page]", page: Page) -> None:
        self._making -= 1
        # Whoever waited for it may have been too slow.
        if not future.done():
            future.set_result(page)
