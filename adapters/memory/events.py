"""Events, kept."""

from cvmfs_snapshotter.domain.events import Event


class MemoryEvents:
    """Implements ``Events``.

    Attributes:
        recorded: all events so far, in order.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.recorded: list[Event] = []

    def record(self, event: Event) -> None:
        """See ``Events.record``."""
        self.recorded.append(event)
