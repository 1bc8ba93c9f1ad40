"""Port: time."""

from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> int:
        """Give the time of day: nanoseconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds since some moment, never going back."""
        ...
