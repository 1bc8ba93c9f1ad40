"""Answers that came when nobody waited for them any more, kept for the next one who asks."""

import threading
from collections import OrderedDict

from cvmfs_snapshotter.domain.ports.clock import Clock

from .prober import Message

MOST = 8
"""Answers that are kept; the latest ones."""

SECONDS = 600.0
"""How long each is good: a layer may be published anew and show other owners then."""


class Remembered:
    """Keeps a few answers for a while; any number of threads may use it."""

    def __init__(self, clock: Clock) -> None:
        """Start with none.

        Args:
            clock: gives the time.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Message]] = OrderedDict()

    def put(self, key: str, answer: Message) -> None:
        """Keep an answer, and forget the oldest one if there are too many."""
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (self._clock.monotonic(), answer)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def take(self, key: str) -> Message | None:
        """Give an answer and keep it no longer; None if there is none that is still good."""
        with self._lock:
            at, answer = self._kept.pop(key, (0.0, None))
            return answer if self._clock.monotonic() - at <= SECONDS else None
