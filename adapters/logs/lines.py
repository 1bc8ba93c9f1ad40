"""Lines written by a thread of their own."""

import os
import threading
from collections import deque
from collections.abc import Callable

CAPACITY = 10_000
"""Lines that may wait; some megabytes."""

_AT_ONCE = 100


class LineWriter:
    """Writes lines to a descriptor without making anybody wait.

    Whoever reads a log may stop reading: journald that is restarted, a terminal that was paused.
    A request must not hang because of that, so that lines wait in memory, and beyond ``CAPACITY``
    they are dropped and counted.
    """

    def __init__(
        self, descriptor: int, notice: Callable[[int], str], capacity: int = CAPACITY
    ) -> None:
        """Start the thread.

        Args:
            descriptor: open for writing; not closed here.
            notice: makes the line that says how many were dropped.
            capacity: how many lines may wait.
        """
        self._descriptor = descriptor
        self._notice = notice
        self._capacity = capacity
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._writing = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, line: str) -> None:
        """Take a line, without its newline; never waits for the reader."""
        with self._changed:
            if len(self._waiting) >= self._capacity:
                self._dropped += 1
                return
            self._waiting.append(line)
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until everything taken so far is written.

        Args:
            seconds: how long at most.

        Returns:
            Whether it is.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._writing, timeout=seconds
            )

    def _run(self) -> None:
        while True:
            self._write_all(self._next())

    def _next(self) -> bytes:
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._dropped)
            lines = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            if self._dropped and not self._waiting:
                lines.append(self._notice(self._dropped))
                self._dropped = 0
            self._writing = True
        return "".join(f"{line}\n" for line in lines).encode(errors="backslashreplace")

    def _write_all(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError:
                # Nobody reads any more; there is nowhere left to say so.
                return
