"""The calls in flight."""

import contextlib
import threading
from collections.abc import Iterator


class Calls:
    """Counts calls whose code is still running.

    grpcio does not: it forgets a call that its client has cancelled, while the thread goes on.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._running = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Count one call for as long as the block runs."""
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def wait_until_none(self, seconds: float) -> bool:
        """Wait until no call is running.

        Args:
            seconds: how long at most.

        Returns:
            Whether none is.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout=seconds)
