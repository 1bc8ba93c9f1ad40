"""One event for several listeners."""

from collections.abc import Callable

import attrs

from cvmfs_snapshotter.domain.events import CircuitOpened, Event, SnapshotCommitted
from cvmfs_snapshotter.domain.ports.events import Events


@attrs.frozen
class FanOut:
    """Implements ``Events``: passes every event on to all listeners, in order."""

    listeners: tuple[Events, ...]

    def record(self, event: Event) -> None:
        """See ``Events.record``."""
        for listener in self.listeners:
            listener.record(event)


@attrs.frozen
class WakeOnCommit:
    """Implements ``Events``: calls something when a snapshot was committed."""

    wake: Callable[[], None]

    def record(self, event: Event) -> None:
        """See ``Events.record``."""
        if isinstance(event, SnapshotCommitted):
            self.wake()


@attrs.frozen
class WakeOnOpening:
    """Implements ``Events``: calls something with the source whose circuit has opened."""

    wake: Callable[[str], None]

    def record(self, event: Event) -> None:
        """See ``Events.record``."""
        if isinstance(event, CircuitOpened):
            self.wake(event.source)
