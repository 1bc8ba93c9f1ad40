"""A long request: it goes on while its callers come and go."""

import threading
import time
from collections.abc import Callable

from .answers import BUSY, SLOW, no_answer
from .worker import Message


class LongRequest:
    """One long request, and the callers that wait for it.

    It waits for its turn until ``begin`` is called, and its callers with it as long as the others
    make progress. That time says nothing against whoever is asked, so that who gives up then hears
    ``busy``.
    """

    def __init__(self, others_moved: Callable[[], float]) -> None:
        """Note that it waits for its turn from now on.

        Args:
            others_moved: gives the time of ``time.monotonic`` at which any long request was seen
                to make progress last.
        """
        self._changed = threading.Condition()
        self._others_moved = others_moved
        self._begun = False
        self._moved_at = time.monotonic()
        self._last: Message = {}
        self._answer: Message | None = None

    def begin(self) -> None:
        """Note that a worker takes it up now; the patience of callers counts from here anew."""
        with self._changed:
            self._begun = True
            self._moved_at = time.monotonic()
            self._changed.notify_all()

    def progress(self, sign: Message) -> None:
        """Note a sign of progress."""
        with self._changed:
            self._moved_at = time.monotonic()
            self._last = sign
            self._changed.notify_all()

    def end(self, answer: Message) -> None:
        """Note the answer."""
        with self._changed:
            self._answer = answer
            self._changed.notify_all()

    def wait(self, patience: float, limit: float) -> Message:
        """Wait for the answer.

        Args:
            patience: seconds without any progress after which to give up; before its turn, without
                progress of the others.
            limit: seconds after which to give up even so.

        Returns:
            The answer, or that it was not waited for.
        """
        started = time.monotonic()
        end = started + limit
        with self._changed:
            while self._answer is None:
                now = time.monotonic()
                waiting_since = max(started, self._others_moved())
                patient = (self._moved_at if self._begun else waiting_since) + patience
                if now < min(end, patient):
                    self._changed.wait(min(end, patient) - now)
                elif not self._begun:
                    return self._not_waited_for(BUSY, "others have to end before it can begin")
                elif now >= end:
                    return self._not_waited_for(SLOW, f"not ready within {limit:g} s")
                else:
                    return self._not_waited_for(SLOW, f"no progress within {patience:g} s")
            return self._answer

    def _not_waited_for(self, reason: str, what: str) -> Message:
        return no_answer(reason, f"{what}; it goes on in the background", self._last)
