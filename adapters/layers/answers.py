"""Answers of probe processes, read with the caution that is due to another process."""

from typing import Any

from cvmfs_snapshotter.domain.companions import Directory, Names
from cvmfs_snapshotter.domain.layer import Digest, Miss, Reason

from .prober import Message

_NO_NAMES = frozenset((b"", b".", b".."))
"""What stands between slashes only where a path is absolute, or leads elsewhere."""

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


def size_in(answer: Message) -> int | None:
    """Read the size that a look-up found; None if none is recorded."""
    size = answer.get("size")
    return size if isinstance(size, int) else None


def revision_in(answer: Message) -> int | None:
    """Read the revision of a repository; None if it is not known."""
    number = answer.get("revision")
    return number if isinstance(number, int) else None


def names_in(answer: Message) -> Names | None:
    """Read the result of a scan; None if it is not one."""
    try:
        return Names(
            entries=_number(answer["entries"]),
            markers=_paths(answer["markers"]),
            directories=directories_in(answer),
            implied=_paths(answer["implied"]),
            owners=tuple((_number(u), _number(g)) for u, g in _list(answer["owners"])),
            unusable=_path(answer["unusable"]),
            stamp=str(answer["stamp"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def directories_in(answer: Message) -> tuple[Directory, ...]:
    """Read the directories that an answer describes.

    Args:
        answer: the answer.

    Returns:
        The directories, in the order of their paths.

    Raises:
        KeyError: there are none in it.
        TypeError: they are not described as they should be.
        ValueError: the same.
    """
    described = [
        Directory(_path(path), *(_number(n) for n in numbers))
        for path, *numbers in _list(answer["directories"])
    ]
    return tuple(sorted(described))


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("not a number")
    return value


def _path(value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError("not a path")
    path = value.encode(errors="surrogateescape")
    # Companions are made under these paths: they must not lead out of where they are made.
    if b"\0" in path or (path and not _NO_NAMES.isdisjoint(path.split(b"/"))):
        raise ValueError("not a path inside a layer")
    return path


def _paths(value: object) -> tuple[bytes, ...]:
    return tuple(sorted(_path(path) for path in _list(value)))


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
