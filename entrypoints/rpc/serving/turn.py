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
        self._awake = False

    def take(self) -> None:
        """Wait until nobody has it, and take it; at once where this thread has it already."""
        with self._change:
            # Inside: between a look and an act it could be taken away, and two would have it.
            if self._holder == threading.get_ident():
                self._since = None
                return
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

    def keep_awake(self) -> None:
        """Let nobody wait any more until a call is run."""
        self._awake = True
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

    def is_unwanted(self) -> bool:
        """Tell whether nobody has it and nobody waits for it."""
        with self._change:
            return self._holder is None and not self._waiting

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
        """Return once there may be somebody to take it away from.

        That is at once where a call is being run, or where nobody has it.

        Args:
            idle: seconds to sleep first.
        """
        time.sleep(idle)
        if self._is_quiet():
            self._stirred.clear()
            # What has happened before is seen here, what happens from now on sets it.
            if self._is_quiet():
                self._stirred.wait()

    def _is_quiet(self) -> bool:
        return self._since is None and self._holder is not None and not self._awake
