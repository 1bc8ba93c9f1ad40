"""A long request: it goes on while its callers come and go."""

import threading
import time

from .answers import SLOW, no_answer
from .worker import Message


class LongRequest:
    """One long request under way, and the callers that wait for it."""

    def __init__(self) -> None:
        """Note that it begins now."""
        self._changed = threading.Condition()
        self._moved_at = time.monotonic()
        self._last: Message = {}
        self._answer: Message | None = None

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
            patience: seconds without any progress after which to give up.
            limit: seconds after which to give up even so.

        Returns:
            The answer, or that it was not waited for.
        """
        end = time.monotonic() + limit
        with self._changed:
            while self._answer is None:
                now = time.monotonic()
                if now >= end:
                    return self._not_waited_for(f"not ready within {limit:g} s")
                if now >= self._moved_at + patience:
                    return self._not_waited_for(f"no progress within {patience:g} s")
                self._changed.wait(min(end, self._moved_at + patience) - now)
            return self._answer

    def _not_waited_for(self, what: str) -> Message:
        return no_answer(SLOW, f"{what}; it goes on in the background", self._last)
