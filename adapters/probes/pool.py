"""The pool of worker processes as its callers see it."""

import math
import threading
import time
from collections.abc import Callable, Sequence

from .answers import BUSY, FAILED, SLOW, TOO_MANY_CALLERS, TOO_MANY_REQUESTS, no_answer
from .long import LongRequest
from .staff import BusyError, Staff
from .worker import Message, Worker, WorkerError


class _Conversation:
    """How long one request may take, and what was last heard of it."""

    def __init__(
        self,
        until: Callable[[], float],
        timeout: str,
        progress: Callable[[Message], None] = lambda _: None,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self.timeout = timeout
        self.last: Message = {}
        self._until = until
        self._progress = progress
        self._begin = begin

    def hold(self, worker: Worker, request: Message) -> Message:
        self._begin()
        return worker.converse(request, self._until, self._note)

    def _note(self, sign: Message) -> None:
        self.last = sign
        self._progress(sign)


class ProbePool:
    """Puts requests to worker processes, and waits for none of them longer than it was told.

    A request and its answer are JSON objects. What a worker does not answer is answered here, with
    a ``reason`` (``slow``, ``busy`` or ``failed``), a ``detail`` in words and, under ``last``, the
    last sign of progress. Nothing is raised. Any number of threads may call.

    Processes and not threads, because a thread in an uninterruptible sleep keeps a killed daemon's
    files, its locks with them, so that no new daemon could start.
    """

    def __init__(  # noqa: PLR0913 - all of them bounds
        self,
        command: Sequence[str],
        *,
        workers: int = 4,
        lost: int = 16,
        callers: int = 8,
        quiet: float = 120.0,
        total: float = 900.0,
        before_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """Start with no process; they come when they are needed.

        Args:
            command: what a worker runs; see ``worker_command``.
            workers: how many processes may live at once, at least 2. Half of them at most are at
                long requests, so that look-ups never wait for scans.
            lost: how many more may hang, given up, before no new one is started.
            callers: how many threads may wait here at once, and how many long requests there may
                be; beyond it the answer is ``busy`` at once. Fewer than the threads of the gRPC
                server, so that some are always left for what asks no source.
            quiet: seconds without progress, or without its turn, after which a long request is
                given up, also when nobody waits for it.
            total: seconds after its turn when it is given up even if it makes progress.
            before_waiting: called by every thread that is about to wait here.
        """
        self._staff = Staff(command, workers=workers, lost=lost, long=workers // 2)
        self._before_waiting = before_waiting
        self._callers = threading.BoundedSemaphore(callers)
        self._most_running = callers
        self._quiet = quiet
        self._total = total
        self._lock = threading.Lock()
        self._running: dict[str, LongRequest] = {}
        self._moved_at = -math.inf

    def ask(self, request: Message, seconds: float) -> Message:
        """Put a request and wait for its answer.

        Args:
            request: what to do, as the worker understands it.
            seconds: how long to wait altogether. The worker is given up then.

        Returns:
            The answer, or what stands for it.
        """
        until = time.monotonic() + seconds
        if not self._callers.acquire(blocking=False):
            return TOO_MANY_CALLERS
        self._before_waiting()
        try:
            conversation = _Conversation(lambda: until, f"no answer within {seconds:g} s")
            return self._converse(request, conversation, until, long=False)
        finally:
            self._callers.release()

    def follow(
        self,
        key: str,
        request: Message,
        finished: Callable[[Message], None],
        patience: float,
        limit: float,
    ) -> Message:
        """Put a long request, or join the one that is under way, and wait while it progresses.

        Args:
            key: what is asked; requests of one key are one request.
            request: what to do, as the worker understands it.
            finished: called with the answer, or with what stands for it, whether or not anybody
                still waits; once, by another thread, before the callers get it. Of those who join,
                only the first one's is called. It should not raise.
            patience: seconds without progress after which this call gives up; as long as the
                request waits for its turn, without progress of those before it. The request goes
                on in the background.
            limit: seconds after which it gives up even so.

        Returns:
            The answer, or what stands for it.
        """
        if not self._callers.acquire(blocking=False):
            return TOO_MANY_CALLERS
        self._before_waiting()
        try:
            with self._lock:
                under_way = self._running.get(key)
                if under_way is None:
                    if len(self._running) >= self._most_running:
                        return TOO_MANY_REQUESTS
                    under_way = LongRequest(lambda: self._moved_at)
                    # A daemon thread: the program's end must not wait for a source.
                    threading.Thread(
                        target=self._run,
                        args=(key, under_way, request, finished),
                        name="probe-follow",
                        daemon=True,
                    ).start()
                    self._running[key] = under_way
            return under_way.wait(patience, limit)
        except RuntimeError:
            return no_answer(BUSY, "no thread can be started to follow the request")
        finally:
            self._callers.release()

    def _run(
        self,
        key: str,
        under_way: LongRequest,
        request: Message,
        finished: Callable[[Message], None],
    ) -> None:
        answer = no_answer(FAILED, "the request could not be put")
        end = math.inf

        def begin() -> None:
            nonlocal end
            self._moved_at = time.monotonic()
            end = self._moved_at + self._total
            under_way.begin()

        def progress(sign: Message) -> None:
            self._moved_at = time.monotonic()
            under_way.progress(sign)

        try:
            conversation = _Conversation(
                lambda: min(time.monotonic() + self._quiet, end),
                "given up, for it makes no progress or no end",
                progress,
                begin,
            )
            turn = time.monotonic() + self._quiet
            answer = self._converse(request, conversation, turn, long=True)
            finished(answer)
        finally:
            with self._lock:
                del self._running[key]
            under_way.end(answer)

    def _converse(
        self, request: Message, conversation: _Conversation, until: float, *, long: bool
    ) -> Message:
        try:
            worker = self._staff.take(until, long=long)
        except BusyError as error:
            return no_answer(BUSY, str(error))
        answered = False
        try:
            answer = conversation.hold(worker, request)
            answered = True
        except TimeoutError:
            last = conversation.last or worker.last_sign()
            answer = no_answer(SLOW, conversation.timeout, last)
        except WorkerError as error:
            last = conversation.last or worker.last_sign()
            answer = no_answer(FAILED, f"the probe process failed: {error}", last)
        finally:
            if answered:
                self._staff.give_back(worker, long=long)
            else:
                self._staff.give_up(worker, long=long)
        return answer

    def count(self) -> tuple[int, int]:
        """Give the numbers of living and of lost processes."""
        return self._staff.count()

    def close(self, seconds: float = 2.0) -> None:
        """Kill all processes; whoever waits for one gets ``failed`` or ``busy``.

        Args:
            seconds: how long to wait for their end at most. What hangs then is left to the kernel.
        """
        self._staff.close(seconds)
