"""Answers of probe processes, read with the caution that is due to another process."""

from cvmfs_snapshotter.domain.layer import Digest, Miss, Names, Reason

from .prober import Message

_REASONS = {reason.value: reason for reason in Reason}


def miss_in(answer: Message, source: str) -> Miss | None:
    """Read why a request failed.

    Args:
        answer: the answer.
        source: name of the source that was asked.

    Returns:
        The miss; None if the request did not fail.
    """
    if "reason" not in answer:
        return None
    reason = _REASONS.get(str(answer["reason"]), Reason.FAILED)
    return Miss(reason, str(answer.get("detail", "")), source)


def diff_id_in(answer: Message) -> Digest | None:
    """Read the diff ID that a look-up found; None if none is recorded."""
    digits = answer.get("diff_id")
    return Digest.parse(f"sha256:{digits}") if isinstance(digits, str) else None


def names_in(answer: Message) -> Names | None:
    """Read the result of a scan; None if it is not one."""
    entries = answer.get("entries")
    whiteouts = answer.get("whiteouts")
    catalogs = answer.get("catalogs_below_root")
    example = answer.get("example")
    if not (
        isinstance(entries, int)
        and isinstance(whiteouts, int)
        and isinstance(catalogs, int)
        and isinstance(example, str)
    ):
        return None
    return Names(entries, whiteouts, catalogs, example)


def place_in(answer: Message, count: int) -> int:
    """Read which of several layers a failure is about.

    A worker that failed or hangs has said last which one it was about to open.

    Args:
        answer: the answer.
        count: how many layers there are, at least one.

    Returns:
        Its place among them, the first if the answer does not say.
    """
    last = answer.get("last")
    at = answer.get("at", last.get("at") if isinstance(last, dict) else None)
    return at if isinstance(at, int) and 0 <= at < count else 0
