"""The records, timed."""

import time
from collections.abc import Callable
from typing import TypeVar

from prometheus_client import CollectorRegistry, Histogram

from cvmfs_snapshotter.domain.ports.store import Records, Store, Transaction

from .naming import FAST, PREFIX

T = TypeVar("T")


class TimedStore:
    """Implements ``Store`` with another one, whose time it takes."""

    def __init__(
        self,
        inner: Store,
        registry: CollectorRegistry,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Stand in front of a store.

        Args:
            inner: the store.
            registry: gets the metrics.
            monotonic: seconds since some moment, never going back.
        """
        self._inner = inner
        self._monotonic = monotonic
        seconds = Histogram(
            "database_duration_seconds",
            "Time of one transaction as its caller waits for it: the wait for its turn and for "
            "the disk included, and reads that memory answers.",
            ("operation",),
            namespace=PREFIX,
            registry=registry,
            buckets=FAST,
        )
        self._reads = seconds.labels("read")
        self._writes = seconds.labels("write")

    def read(self, operation: Callable[[Records], T]) -> T:
        """See ``Store.read``."""
        started = self._monotonic()
        try:
            return self._inner.read(operation)
        finally:
            self._reads.observe(self._monotonic() - started)

    def write(self, operation: Callable[[Transaction], T], *, frees: bool = False) -> T:
        """See ``Store.write``."""
        started = self._monotonic()
        try:
            return self._inner.write(operation, frees=frees)
        finally:
            self._writes.observe(self._monotonic() - started)

    def new_identifier(self) -> int:
        """See ``Store.new_identifier``."""
        return self._inner.new_identifier()

    def raise_identifiers(self, above: int) -> None:
        """See ``Store.raise_identifiers``."""
        self._inner.raise_identifiers(above)
