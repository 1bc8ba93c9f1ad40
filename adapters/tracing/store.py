"""The records, with a span for each transaction."""

from collections.abc import Callable
from typing import TypeVar

from cvmfs_snapshotter.domain.errors import (
    ResourceExhaustedError,
    SnapshotterError,
    UnavailableError,
)
from cvmfs_snapshotter.domain.ports.store import Records, Store, Transaction

from .inner import InnerSpans, fail

T = TypeVar("T")

_TROUBLE = (ResourceExhaustedError, UnavailableError)


class TracedStore:
    """Implements ``Store`` with another one, whose transactions it shows.

    A span lasts as long as its caller waits: for its turn and for the disk too. Names are those of
    the semantic conventions for databases.
    """

    def __init__(self, inner: Store, spans: InnerSpans) -> None:
        """Stand in front of a store.

        Args:
            inner: the store.
            spans: makes them.
        """
        self._inner = inner
        self._spans = spans

    def read(self, operation: Callable[[Records], T]) -> T:
        """See ``Store.read``."""
        return self._within("read", lambda: self._inner.read(operation))

    def write(self, operation: Callable[[Transaction], T], *, frees: bool = False) -> T:
        """See ``Store.write``."""
        return self._within("write", lambda: self._inner.write(operation, frees=frees))

    def new_identifier(self) -> int:
        """See ``Store.new_identifier``."""
        return self._inner.new_identifier()

    def raise_identifiers(self, above: int) -> None:
        """See ``Store.raise_identifiers``."""
        self._inner.raise_identifiers(above)

    def _within(self, operation: str, run: Callable[[], T]) -> T:
        attributes = {"db.system.name": "sqlite", "db.operation.name": operation}
        span = self._spans.begin(f"database {operation}", attributes)
        if span is None:
            return run()
        try:
            return run()
        except Exception as error:
            # Most errors of the domain are what the records say, and no failure of theirs.
            if isinstance(error, _TROUBLE) or not isinstance(error, SnapshotterError):
                span.set_attribute("error.type", type(error).__name__)
                fail(span, str(error))
            raise
        finally:
            span.end()
