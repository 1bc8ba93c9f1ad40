"""Streams that nobody reads."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds for which a client may leave a message of a List unread, where others want a thread."""

CROWD = 8
"""Open streams below which nobody is disturbed; a fraction of the server's threads."""


class Cancellable(Protocol):
    """The part of ``grpc.ServicerContext`` that is used here."""

    def cancel(self) -> object:
        """End the call."""
        ...


class Streams:
    """Keeps unread streams from taking all threads.

    A stream holds a thread of the pool until its client has read it. A client that was stopped
    while it lists would keep it for ever, and enough of them would leave none for anybody else.
    """

    def __init__(
        self,
        patience: float = PATIENCE,
        crowd: int = CROWD,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start without streams.

        Args:
            patience: seconds for which a message may stay unread.
            crowd: number of open streams from which on that matters.
            monotonic: seconds since some moment, never going back.
        """
        self._patience = patience
        self._crowd = crowd
        self._monotonic = monotonic
        self._lock = threading.Condition()
        self._ended = False
        self._waiting: dict[int, tuple[Cancellable, float]] = {}

    def watch(self, messages: Iterator[T], context: Cancellable) -> Iterator[T]:
        """Pass messages on, and take note of when each was handed to the client.

        Args:
            messages: the answer to a call.
            context: ends the call.
        """
        try:
            for message in messages:
                with self._lock:
                    self._waiting[id(context)] = context, self._monotonic()
                    if len(self._waiting) == self._crowd:
                        self._lock.notify_all()
                yield message
        finally:
            with self._lock:
                self._waiting.pop(id(context), None)

    def make_room(self) -> int:
        """End streams that were left unread too long, if there are many.

        Returns:
            How many were ended.
        """
        with self._lock:
            if len(self._waiting) < self._crowd:
                return 0
            latest = self._monotonic() - self._patience
            stalled = [i for i, (_, since) in self._waiting.items() if since <= latest]
            contexts = [self._waiting.pop(i)[0] for i in stalled]
        for context in contexts:
            # The call may have ended meanwhile.
            with contextlib.suppress(Exception):
                context.cancel()
        return len(contexts)

    def keep_making_room(self, report: Callable[[int], None]) -> None:
        """Make room whenever it can be made, until ``close`` is called.

        Calls make room too, but where all threads are taken and nobody calls, nobody would.

        Args:
            report: called with how many streams were ended, if any were.
        """
        while self._wait_until_stalled():
            ended = self.make_room()
            if ended:
                report(ended)

    def _wait_until_stalled(self) -> bool:
        """Wait until a stream in a crowd was left too long; return False once closed."""
        with self._lock:
            while not self._ended:
                seconds = None
                if len(self._waiting) >= self._crowd:
                    since = min(since for _, since in self._waiting.values())
                    seconds = since + self._patience - self._monotonic()
                    if seconds <= 0:
                        break
                self._lock.wait(seconds)
            return not self._ended

    def close(self) -> None:
        """End ``keep_making_room``."""
        with self._lock:
            self._ended = True
            self._lock.notify_all()
