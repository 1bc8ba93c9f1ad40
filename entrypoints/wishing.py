"""Remembering layers that were missed, apart from the requests that missed them."""

import threading
from collections.abc import Callable

import attrs

from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.domain.errors import SnapshotterError
from cvmfs_snapshotter.domain.events import Event, LayerDecided
from cvmfs_snapshotter.domain.layer import Digest, Miss
from cvmfs_snapshotter.domain.ports.clock import Clock
from cvmfs_snapshotter.domain.ports.store import Store, Transaction
from cvmfs_snapshotter.domain.references import Reference
from cvmfs_snapshotter.domain.wishes import MOST_WISHES, Wish

from .woken import WokenThread

PAUSE = 2.0
"""Seconds for which misses are collected before they are recorded together."""

MOST_PENDING = 1000
"""Misses, and hits, that wait to be recorded; what comes beyond is not remembered."""

_LONGEST_PAUSE = 300.0


@attrs.define
class _Pending:
    wishes: dict[tuple[str, str, str], Wish] = attrs.field(factory=dict)
    found: set[Digest] = attrs.field(factory=set)

    def add(self, wish: Wish) -> None:
        before = self.wishes.get(wish.key)
        if before is not None:
            wish = before.merged(wish)
        elif len(self.wishes) >= MOST_PENDING:
            return
        self.wishes[wish.key] = wish
        # The order of what happened: a layer that was found and is missed now is gone again.
        self.found.discard(wish.digest)

    def find(self, digest: Digest) -> None:
        if len(self.found) < MOST_PENDING:
            self.found.add(digest)
        self.wishes = {key: w for key, w in self.wishes.items() if w.digest != digest}


class Wishing:
    """Implements ``Events``, with a thread that records what was missed; it never dies.

    A layer that is found is not wished for any more. Nothing here waits for the disk but the
    thread, and a miss that cannot be remembered is no failure of anything.
    """

    def __init__(self, store: Store, clock: Clock, logger: Logger, pause: float = PAUSE) -> None:
        """Make the thread; it does not run yet.

        Args:
            store: the records.
            clock: tells when a layer was missed.
            logger: takes errors.
            pause: seconds for which misses are collected.
        """
        self._store = store
        self._clock = clock
        self._logger = logger
        self._pause = pause
        self._lock = threading.Lock()
        self._pending = _Pending()
        self._thread = WokenThread("wishes", self._run)

    def record(self, event: Event) -> None:
        """See ``Events.record``."""
        if not isinstance(event, LayerDecided):
            return
        digest = Digest.parse(event.digest)
        if digest is None:
            return
        outcome = event.outcome
        if isinstance(outcome, Miss):
            reference, now = Reference.parse(event.image), self._clock.now()
            wish = Wish(str(reference or ""), digest, outcome.reason, 1, now, now)
            self._note(lambda pending: pending.add(wish))
        else:
            self._note(lambda pending: pending.find(digest))

    def _note(self, change: Callable[[_Pending], None]) -> None:
        with self._lock:
            change(self._pending)
        self._thread.wake()

    def start(self) -> None:
        """Begin to record."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Record what is left, and end the thread.

        Args:
            seconds: how long to wait for that at most.

        Returns:
            Whether it has ended.
        """
        return self._thread.stop(seconds)

    def _run(self) -> None:
        pause = self._pause
        while not self._thread.stopping.is_set():
            self._thread.wait(pause)
            if self._flushed():
                pause = self._pause
            else:
                pause = min(max(pause, PAUSE) * 2, _LONGEST_PAUSE)
                self._thread.wake()
        # What came while the last ones were recorded.
        self._flushed()

    def _flushed(self) -> bool:
        try:
            self._flush()
        except Exception as error:  # noqa: BLE001 - whatever it is, the daemon goes on without
            cause = str(error) if isinstance(error, SnapshotterError) else repr(error)
            self._logger.warning("missed layers could not be remembered", cause=cause)
            return False
        return True

    def _flush(self) -> None:
        with self._lock:
            taken, self._pending = self._pending, _Pending()

        def keep(transaction: Transaction) -> None:
            transaction.forget_wishes(sorted(taken.found))
            transaction.add_wishes(list(taken.wishes.values()), MOST_WISHES)

        if not taken.found and not taken.wishes:
            return
        try:
            self._store.write(keep)
        except Exception:
            self._put_back(taken)
            raise

    def _put_back(self, taken: _Pending) -> None:
        with self._lock:
            since, self._pending = self._pending, taken
            for digest in since.found:
                taken.find(digest)
            for wish in since.wishes.values():
                taken.add(wish)
