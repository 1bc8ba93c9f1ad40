"""A clock that stands still until it is moved."""


class MemoryClock:
    """Implements ``Clock``.

    Attributes:
        nanoseconds: what ``now`` gives.
        seconds: what ``monotonic`` gives.
    """

    def __init__(self, nanoseconds: int = 1_700_000_000_000_000_000, seconds: float = 0.0) -> None:
        """Stand at these times."""
        self.nanoseconds = nanoseconds
        self.seconds = seconds

    def now(self) -> int:
        """See ``Clock.now``."""
        return self.nanoseconds

    def monotonic(self) -> float:
        """See ``Clock.monotonic``."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Move both times on."""
        self.nanoseconds += int(seconds * 1_000_000_000)
        self.seconds += seconds
