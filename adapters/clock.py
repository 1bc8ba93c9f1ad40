"""The system's clocks."""

import time


class SystemClock:
    """Implements ``Clock``."""

    def now(self) -> int:
        """Give the time of day: nanoseconds since the epoch, UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Give seconds since some moment, never going back."""
        return time.monotonic()
