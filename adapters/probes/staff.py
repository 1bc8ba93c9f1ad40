"""The workers of a pool: who is free, who is at work, and who was given up."""

import threading
import time
from collections.abc import Sequence

from .worker import Worker


class BusyError(Exception):
    """No worker can be had; the message says why."""


class Staff:
    """A bounded number of processes, started when they are needed.

    A worker that was given up counts as lost until the kernel has let go of it; the sum of living
    and lost ones is bounded too, so that a source that hangs for days costs no more than that.
    """

    def __init__(self, command: Sequence[str], *, workers: int, lost: int, long: int) -> None:
        """Start with nobody.

        Args:
            command: what a worker runs.
            workers: how many may live at once.
            lost: how many more may be lost before no new one is started.
            long: how many may be at a long request at once.
        """
        self._command = command
        self._workers = workers
        self._most = workers + lost
        self._longest = long
        self._changed = threading.Condition()
        self._idle: list[Worker] = []
        self._taken: set[Worker] = set()
        self._lost: list[Worker] = []
        self._starting = 0
        self._long = 0
        self._closed = False

    def take(self, until: float, *, long: bool) -> Worker:
        """Get a worker of one's own, to be given back by ``give_back`` or ``give_up``.

        Args:
            until: how long to wait for one, in seconds of ``time.monotonic``.
            long: whether it is for a long request.

        Returns:
            The worker.

        Raises:
            BusyError: none can be had, or none was free in time.
        """
        with self._changed:
            while True:
                worker = self._free(long=long)
                if worker is not None:
                    self._taken.add(worker)
                if worker is not None or self._may_start(long=long):
                    break
                if not self._changed.wait(max(until - time.monotonic(), 0)):
                    raise BusyError("no probe process was free in time")
            self._long += long
            self._starting += worker is None
        return worker or self._start(long=long)

    def _free(self, *, long: bool) -> Worker | None:
        if self._closed:
            raise BusyError("the probe processes are being stopped")
        self._reap()
        while self._idle and not (long and self._long >= self._longest):
            worker = self._idle.pop()
            if not worker.gone:
                return worker
            worker.close()
        return None

    def _may_start(self, *, long: bool) -> bool:
        living = len(self._idle) + len(self._taken) + self._starting
        if living == 0 and len(self._lost) >= self._most:
            raise BusyError(f"all {self._most} probe processes hang")
        if long and self._long >= self._longest:
            return False
        return living < self._workers and living + len(self._lost) < self._most

    def _start(self, *, long: bool) -> Worker:
        worker = None
        try:
            worker = Worker(self._command)
        except OSError as error:
            raise BusyError(f"no probe process can be started: {error.strerror}") from error
        finally:
            with self._changed:
                self._starting -= 1
                if worker is None:
                    self._long -= long
                else:
                    self._taken.add(worker)
                    if self._closed:
                        worker.kill()
                self._changed.notify_all()
        return worker

    def _reap(self) -> None:
        self._lost = [worker for worker in self._lost if not worker.gone]

    def give_back(self, worker: Worker, *, long: bool) -> None:
        """Let others have the worker, which has answered."""
        with self._changed:
            self._taken.remove(worker)
            self._long -= long
            if self._closed:
                self._bury(worker)
            else:
                self._idle.append(worker)
            self._changed.notify_all()

    def give_up(self, worker: Worker, *, long: bool) -> None:
        """Abandon the worker, which hangs or is of no use."""
        with self._changed:
            self._taken.remove(worker)
            self._long -= long
            self._bury(worker)
            self._changed.notify_all()

    def _bury(self, worker: Worker) -> None:
        worker.kill()
        worker.close()
        self._lost.append(worker)

    def close(self, seconds: float) -> None:
        """Kill all workers; those that are talked to are seen by their caller to have ended.

        Args:
            seconds: how long to wait for their end at most.
        """
        until = time.monotonic() + seconds
        with self._changed:
            self._closed = True
            while self._idle:
                self._bury(self._idle.pop())
            for worker in self._taken:
                worker.kill()
            self._changed.notify_all()
        while not self._all_gone() and time.monotonic() < until:
            time.sleep(0.005)

    def _all_gone(self) -> bool:
        with self._changed:
            self._reap()
            return not self._lost and not self._taken and not self._starting

    def count(self) -> tuple[int, int]:
        """Give the numbers of living and of lost workers, for metrics."""
        with self._changed:
            self._reap()
            return len(self._idle) + len(self._taken) + self._starting, len(self._lost)
