"""Port: what happened goes to logs, metrics and whoever else listens."""

from typing import Protocol

from ..events import Event


class Events(Protocol):
    """Takes note of events."""

    def record(self, event: Event) -> None:
        """Take note of one event; never raises and never waits for long."""
        ...
