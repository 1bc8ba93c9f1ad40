"""Spans that have ended and wait to be sent."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

MOST = 2048
"""Spans that wait at most; what comes above is lost."""

BATCH = 256
"""Spans that are sent together at most."""

PAUSE = 2.0
"""Seconds to wait for more of them."""


class Report(Protocol):
    """Hears of the fate of spans."""

    def __call__(self, problem: str, lost: int) -> None:
        """Take note that spans are being lost, or no more.

        Args:
            problem: why; empty if spans are sent again.
            lost: how many were lost so far.
        """
        ...


class Outbox(SpanProcessor):
    """Keeps a bounded number of spans, and sends them from a thread of its own.

    Nobody who ends a span ever waits: what cannot be kept or sent is counted and forgotten.

    Attributes:
        sent: spans that a collector has taken.
        lost: spans that it never got.
    """

    def __init__(
        self,
        send: Callable[[Sequence[ReadableSpan]], None],
        report: Report,
        most: int = MOST,
        pause: float = PAUSE,
    ) -> None:
        """Start empty; nothing is sent yet.

        Args:
            send: sends spans; whatever it raises, they are lost.
            report: called from the thread when spans begin to be lost, and when that ends.
            most: spans that wait at most.
            pause: seconds to wait for more spans before some are sent.
        """
        self.sent = 0
        self.lost = 0
        self._send = send
        self._report = report
        self._most = most
        self._pause = pause
        self._waiting: deque[ReadableSpan] = deque()
        self._lock = threading.Lock()
        self._full = threading.Event()
        self._until = float("inf")
        self._stopping = self._over = self._failing = False
        self._flying = self._known = 0
        # A daemon thread: the process's end must not wait for a collector.
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span until it is sent; see ``SpanProcessor.on_end``."""
        with self._lock:
            if len(self._waiting) >= self._most or self._stopping:
                self.lost += 1
                return
            self._waiting.append(span)
            enough = len(self._waiting) >= min(BATCH, self._most)
        if enough:
            self._full.set()

    def stop(self, seconds: float) -> bool:
        """Send what waits, as far as there is time, and end.

        Args:
            seconds: how long to wait for that at most.

        Returns:
            Whether it has ended. What is not sent then is lost.
        """
        with self._lock:
            self._stopping = True
            self._until = time.monotonic() + seconds
        self._full.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        with self._lock:
            self._over = True
            self.lost += len(self._waiting) + self._flying
            self._waiting.clear()
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._full.wait(self._pause)
            self._full.clear()
            stopping = self._stopping
            while batch := self._take():
                self._send_one(batch)
            if stopping:
                return

    def _take(self) -> list[ReadableSpan]:
        with self._lock:
            if time.monotonic() >= self._until:
                return []
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._flying = len(batch)
        return batch

    def _send_one(self, batch: list[ReadableSpan]) -> None:
        problem = ""
        try:
            self._send(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, later spans may fare better
            problem = str(error) or repr(error)
        with self._lock:
            if self._over:
                return
            self._flying = 0
            if problem:
                self.lost += len(batch)
            else:
                self.sent += len(batch)
            if self.lost > self._known and not problem:
                problem = "they end faster than they can be sent"
            self._known = self.lost
        if bool(problem) != self._failing:
            self._failing = bool(problem)
            self._report(problem, self._known)
