"""Signs of progress of work in many small steps, without one for each."""

import time
from collections.abc import Callable

from .scanning import PROGRESS_SECONDS


class Pulse:
    """Tells now and then how many steps are done."""

    def __init__(self, report: Callable[[dict[str, object]], None]) -> None:
        """Begin with no step done.

        Args:
            report: called with signs of progress.
        """
        self._report = report
        self._steps = 0
        self._told_at = time.monotonic()

    def beat(self) -> None:
        """Note that a step is done."""
        self._steps += 1
        now = time.monotonic()
        if now - self._told_at >= PROGRESS_SECONDS:
            self._told_at = now
            self._report({"steps": self._steps})
