"""A thread in the background that works when it is woken."""

import threading
from collections.abc import Callable


class WokenThread:
    """Waits, gathers, and is told to end.

    A daemon thread: the process's end must not wait for a disk, or a large tree.

    Attributes:
        stopping: is set once it has to end.
    """

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        """Make the thread; it does not run yet.

        Args:
            name: of the thread.
            run: works until ``stopping`` is set.
        """
        self.stopping = threading.Event()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to run."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._wanted.set()

    def wait(self, gather: float) -> None:
        """Wait until there is something to do, and for more of it.

        Args:
            gather: seconds to wait for more; the end cuts that short.
        """
        self._wanted.wait()
        self.stopping.wait(gather)
        self._wanted.clear()

    def stop(self, seconds: float) -> bool:
        """End the thread.

        Args:
            seconds: how long to wait for that at most.

        Returns:
            Whether it has ended.
        """
        self.stopping.set()
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()
