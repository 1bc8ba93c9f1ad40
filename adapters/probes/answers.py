"""What a caller is told when there is no answer of a worker."""

from .worker import Message

SLOW = "slow"
BUSY = "busy"
FAILED = "failed"


def no_answer(reason: str, detail: str, last: Message | None = None) -> Message:
    """Make the answer that stands for none.

    Args:
        reason: ``SLOW``, ``BUSY`` or ``FAILED``.
        detail: the cause in words.
        last: the last sign of progress, where there was one.

    Returns:
        ``{"reason": ..., "detail": ..., "last": ...}``, the first two as a worker says why a
        request failed.
    """
    return {"reason": reason, "detail": detail, "last": last or {}}


TOO_MANY_CALLERS = no_answer(BUSY, "too many callers wait for probes already")
TOO_MANY_REQUESTS = no_answer(BUSY, "too many long requests are under way already")
