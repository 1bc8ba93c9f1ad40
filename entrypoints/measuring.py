"""Measuring committed snapshots in the background."""

from collections.abc import Callable

from cvmfs_snapshotter.adapters.logs.logger import Logger

from .woken import WokenThread

BATCH = 25
"""Snapshots that are measured between two looks at whether to stop, and recorded together."""

GATHER = 1.0
"""Seconds from a commit to its measurement: an image's layers are committed one after the other,
and what is done in between takes from the next one."""

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 300.0


class Measurer:
    """A thread that measures whenever there is something to measure, and never dies.

    containerd calls Commit inside its own write transaction, so that nothing is measured there.
    """

    def __init__(
        self, measure: Callable[[int], int], logger: Logger, gather: float = GATHER
    ) -> None:
        """Make the thread; it does not run yet.

        Args:
            measure: measures at most so many snapshots and tells how many it has measured.
            logger: takes errors.
            gather: seconds to wait for more once there is something to measure.
        """
        self._gather = gather
        self._measure = measure
        self._logger = logger
        self._thread = WokenThread("measure", self._run)

    def start(self) -> None:
        """Begin with what an earlier process has left to do."""
        self.wake()
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to measure."""
        self._thread.wake()

    def stop(self, seconds: float) -> bool:
        """End the thread.

        Args:
            seconds: how long to wait for that at most.

        Returns:
            Whether it has ended.
        """
        return self._thread.stop(seconds)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        stopping = self._thread.stopping
        while not stopping.is_set():
            self._thread.wait(self._gather)
            try:
                self._measure_all()
                pause = _FIRST_PAUSE
            except Exception:
                if stopping.is_set():
                    return
                self._logger.exception("snapshots could not be measured")
                stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                self.wake()

    def _measure_all(self) -> None:
        while not self._thread.stopping.is_set() and self._measure(BATCH) == BATCH:
            pass
