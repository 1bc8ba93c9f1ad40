"""What all metrics have in common."""

from prometheus_client import CollectorRegistry, disable_created_metrics

PREFIX = "cvmfs_snapshotter"

FAST = (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
"""Bounds in seconds for what is usually done in microseconds."""

SLOW = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds in seconds for what may wait for a disk or a source."""


def new_registry() -> CollectorRegistry:
    """Make a registry of this program's own; the one that libraries share is not exposed."""
    # A further sample for each counter and histogram, which doubles them and says little: when the
    # process has started is a metric of its own.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    return CollectorRegistry()
