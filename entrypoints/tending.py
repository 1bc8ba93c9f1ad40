"""Looking after the sources in the background: trials, and keeping them mounted."""

import threading

from cvmfs_snapshotter.adapters.circuits import Breakers, Trier
from cvmfs_snapshotter.adapters.layers.holder import Holder
from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.domain.circuit import Circuit, Operation
from cvmfs_snapshotter.domain.ports.clock import Clock

KEEP_SECONDS = 60.0
"""Time between two looks at a root that is held; autofs lets expire what is idle for 300 s, or
as its own option says."""

RETRY_SECONDS = 5.0
"""Time until the next look at a root that could not be held."""

HOLD_SECONDS = 30.0
"""How long one such look may take: an automounter may first have to mount the source."""

_PAUSE_AFTER_DEFECT = 10.0


class Tender:
    """A thread that looks after one source, and never dies.

    Requests neither wait for it nor for what it waits for. A root is held while the circuit is
    closed. When the circuit opens because the client is dead, the root is let go: what is dead
    cannot be unmounted, and so not be mounted again, while somebody holds it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it looks after, and by what
        self,
        source: str,
        breakers: Breakers,
        trier: Trier,
        holder: Holder,
        clock: Clock,
        logger: Logger,
    ) -> None:
        """Make the thread; it does not run yet.

        Args:
            source: name of the source.
            breakers: tell how it stands, and hear of what was seen.
            trier: tries it.
            holder: holds its root.
            clock: gives the time.
            logger: takes a line when its root is held or not held any more.
        """
        self._source = source
        self._breakers = breakers
        self._trier = trier
        self._holder = holder
        self._clock = clock
        self._logger = logger
        self._next_look = clock.monotonic()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        # A daemon thread: the process's end must not wait for a source.
        self._thread = threading.Thread(target=self._run, name="tend", daemon=True)

    @property
    def holder(self) -> Holder:
        """What holds the root."""
        return self._holder

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something may be due earlier than it was."""
        self._woken.set()

    def stop(self, seconds: float) -> bool:
        """End the thread, and let go of the root.

        Args:
            seconds: how long to wait for that at most.

        Returns:
            Whether the thread has ended.
        """
        self._stopping.set()
        self.wake()
        self._holder.release(seconds)
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def hold(self) -> None:
        """Hold the root from now on; returns at once."""
        self._holder.want()
        self._next_look = self._clock.monotonic()
        self.wake()

    def release(self) -> bool:
        """Do not hold the root any more, so that the source can be unmounted.

        Returns:
            Whether nothing of ours holds it; if not, a process hangs on it in the kernel.
        """
        before = self._holder.held
        gone = self._holder.release()
        if before:
            self._logger.info("source released", source=self._source)
        if not gone:
            self._logger.warning(
                "the process that holds a source hangs; the source stays in use until it ends",
                source=self._source,
            )
        return gone

    def work(self) -> float | None:
        """Do what is due.

        Returns:
            Seconds until something is due again; None if that is not known yet.
        """
        self._trier.run(self._source)
        standing = self._breakers.standing(self._source)
        if standing.circuit.refuses:
            if _dead(standing.circuit) and self._holder.held:
                self._holder.let_go()
            self._next_look = self._clock.monotonic()
            return standing.next_try
        if not self._holder.wanted:
            return None
        if self._clock.monotonic() >= self._next_look:
            self._look()
        return max(self._next_look - self._clock.monotonic(), 0.0)

    def _look(self) -> None:
        before = self._holder.held
        started = self._clock.monotonic()
        miss = self._holder.take(HOLD_SECONDS)
        pause = KEEP_SECONDS if miss is None else RETRY_SECONDS
        self._next_look = self._clock.monotonic() + pause
        if miss is None:
            self._breakers.succeeded(self._source, Operation.IDENTITY, started=started)
            if not before:
                self._logger.info("source held", source=self._source)
            return
        if before and self._holder.wanted:
            self._logger.warning(
                "source not held any more",
                source=self._source,
                reason=miss.reason.value,
                detail=miss.detail,
            )
        self._breakers.missed(self._source, miss, Operation.IDENTITY, None, started=started)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                seconds = self.work()
            except Exception:
                self._logger.exception("a source could not be looked after", source=self._source)
                seconds = _PAUSE_AFTER_DEFECT
            if not self._stopping.is_set():
                self._woken.wait(seconds)


def _dead(circuit: Circuit) -> bool:
    # A client may also die while a failed look-up keeps the circuit open; a trial shows that.
    latest = circuit.cause.operation if circuit.cause else circuit.operation
    return Operation.IDENTITY in {circuit.operation, latest}
