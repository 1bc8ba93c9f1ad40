"""The calls in flight."""

import contextlib
import threading


class Calls:
    """Counts calls whose code is still running.

    grpcio does not: it forgets a call that its client has cancelled, while the thread goes on.
    Every call passes here, so that nobody is notified before somebody waits.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._running = 0
        self._awaited = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def one(self) -> contextlib.AbstractContextManager[object]:
        """Count one call for as long as the block runs."""
        return self

    def __enter__(self) -> None:
        with self._lock:
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            if self._awaited:
                self._changed.notify_all()

    def wait_until_none(self, seconds: float) -> bool:
        """Wait until no call is running.

        Args:
            seconds: how long at most.

        Returns:
            Whether none is.
        """
        with self._changed:
            self._awaited = True
            return self._changed.wait_for(lambda: not self._running, timeout=seconds)
