"""Which thread takes calls in."""

import threading
import time
from collections.abc import Callable

_local = threading.local()


def step_aside() -> None:
    """Let another thread take calls in, because this one is about to wait.

    Whoever waits for a disk, a source or a client calls this first. For a thread that does not
    take calls in it does nothing.
    """
    turn: Turn | None = getattr(_local, "turn", None)
    if turn is not None:
        turn.leave()


class Turn:
    """Held by the one thread that takes calls in, also while it runs one of them.

    It is left before a wait, and taken away from a thread that waits without having said so.
    """

    def __init__(self, short: Callable[[], None]) -> None:
        """Start with nobody's.

        Args:
            short: called by whoever leaves it where no other thread waits for it.
        """
        self._short = short
        self._turn = threading.Lock()
        self._change = threading.Lock()
        self._holder: int | None = None
        self._since: float | None = None
        self._waiting = 0
        self._stirred = threading.Event()

    def take(self) -> None:
        """Wait until nobody has it, and take it; at once where this thread has it already."""
        if self._holder == threading.get_ident():
            self._since = None
            return
        with self._change:
            self._waiting += 1
        self._turn.acquire()
        with self._change:
            self._waiting -= 1
            self._holder, self._since = threading.get_ident(), None
        _local.turn = self

    def begin(self) -> None:
        """Take note that its holder begins to run a call."""
        self._since = time.monotonic()
        if not self._stirred.is_set():
            self._stirred.set()

    def stir(self) -> None:
        """Let whoever waits until a call is run look up."""
        self._stirred.set()

    def leave(self) -> None:
        """Give it up; nothing for a thread that does not have it, or from which it was taken."""
        _local.turn = None
        self._give_up(lambda: self._holder == threading.get_ident())

    def take_away(self, seconds: float) -> bool:
        """Take it away from a thread that has been running one call for so long.

        Args:
            seconds: how long.

        Returns:
            Whether it was taken away.
        """

        def waits() -> bool:
            since = self._since
            return since is not None and time.monotonic() - since >= seconds

        return self._give_up(waits)

    def _give_up(self, condition: Callable[[], bool]) -> bool:
        with self._change:
            if self._holder is None or not condition():
                return False
            self._holder, self._since = None, None
            short = not self._waiting
            self._turn.release()
        if short:
            self._short()
        return True

    def wait_until_stirred(self, idle: float) -> None:
        """Return once a call has begun to run since none did for a while.

        Args:
            idle: seconds to sleep first.
        """
        time.sleep(idle)
        if self._since is None:
            self._stirred.clear()
            if self._since is None:
                self._stirred.wait()
