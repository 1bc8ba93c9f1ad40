"""The system's clocks as the domain sees them."""

import time

from cvmfs_snapshotter.adapters.clock import SystemClock


def test_now() -> None:
    """The time of day is in nanoseconds since the epoch."""
    assert abs(SystemClock().now() / 1e9 - time.time()) < 5


def test_monotonic() -> None:
    """The monotonic clock counts seconds and never goes back."""
    clock = SystemClock()
    before = clock.monotonic()
    time.sleep(0.02)

    assert 0.01 < clock.monotonic() - before < 5
