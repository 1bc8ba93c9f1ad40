"""Keeping a source mounted by a process that may be lost."""

import threading
from collections.abc import Callable
from typing import Protocol

from cvmfs_snapshotter.domain.layer import Miss, Reason

from .answers import miss_in, revision_in
from .prober import Message
from .settings import SourceSettings


class Keeper(Protocol):
    """One process that runs ``prober.WORKER_MODULE``, and is replaced when it hangs."""

    def ask(self, request: Message, seconds: float) -> Message:
        """Put a request; see ``Prober.ask``."""
        ...

    def count(self) -> tuple[int, int]:
        """Give the numbers of its living and of its lost processes."""
        ...

    def close(self, seconds: float = ...) -> None:
        """Kill it, and wait so long for its end."""
        ...


class Holder:
    """Holds the root of one source open, so that no automounter lets it expire.

    The process that does it is of no other use: while it holds the root, the file system cannot be
    unmounted; killing it is the way to let go that works also when the source hangs.
    """

    def __init__(self, source: SourceSettings, keeper: Callable[[], Keeper]) -> None:
        """Start without holding anything.

        Args:
            source: the source; says whether its root is to be held.
            keeper: starts a process when it is first asked something.
        """
        self._source = source
        self._make_keeper = keeper
        self._lock = threading.Lock()
        self._wanted = source.keep_mounted
        self._keeper: Keeper | None = None
        self._last: Keeper | None = None
        self._held = False
        self._revision: int | None = None

    @property
    def wanted(self) -> bool:
        """Whether the root is to be held."""
        return self._wanted

    @property
    def held(self) -> bool:
        """Whether the root was held when that was tried last."""
        return self._held

    @property
    def revision(self) -> int | None:
        """The revision of the repository at that time; None if it is not known."""
        return self._revision

    @property
    def stuck(self) -> int:
        """How many processes hang that should have ended."""
        with self._lock:
            last = self._last
        return last.count()[1] if last is not None else 0

    def want(self) -> None:
        """Let the root be held from now on; ``take`` does it."""
        with self._lock:
            self._wanted = True

    def take(self, seconds: float) -> Miss | None:
        """Make sure that the root is the right one and held, if that is wanted.

        Args:
            seconds: how long to wait for the source.

        Returns:
            None if it is; else what is wrong, and nothing is held then.
        """
        with self._lock:
            if not self._wanted:
                return self._busy("it is not to be held")
            if self._keeper is None and self._last is not None and any(self._last.count()):
                return self._busy("the process that held it before still hangs")
            if self._keeper is None:
                self._keeper = self._last = self._make_keeper()
            keeper = self._keeper
        request = {"do": "root", "source": self._source.request, "hold": True}
        answer = keeper.ask(request, seconds)
        miss = miss_in(answer, self._source.name)
        with self._lock:
            if self._keeper is not keeper:
                return self._busy("it was let go meanwhile")
            self._held = miss is None
            if miss is None:
                self._revision = revision_in(answer)
        return miss

    def release(self, seconds: float = 2.0) -> bool:
        """Let go of the root, and do not let it be held until ``want`` is called.

        Args and result are those of ``let_go``.
        """
        with self._lock:
            self._wanted = False
        return self.let_go(seconds)

    def let_go(self, seconds: float = 2.0) -> bool:
        """Let go of the root; the next ``take`` may hold it again.

        Args:
            seconds: how long to wait for the end of the process.

        Returns:
            Whether it has ended; if not, it hangs in the kernel and may keep the source busy.
        """
        with self._lock:
            self._keeper, self._held, last = None, False, self._last
        if last is None:
            return True
        last.close(seconds)
        return not any(last.count())

    def _busy(self, detail: str) -> Miss:
        return Miss(Reason.BUSY, detail, self._source.name)
