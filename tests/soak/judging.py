"""What is right, what may go wrong when something was broken, and what may never."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import attrs

MARGIN: Final = 2.0
"""Seconds by which an error may come later than what caused it is seen to have ended."""

UNEXPECTED: Final = "unexpected"

VANISHED_UNDER_IT: Final = "its layers vanished while it ran"
"""The one reason for which a container may miss files without an error."""


class Cause(StrEnum):
    """What explains an error while it lasts."""

    DAEMON = "daemon restarted"
    CONTAINERD = "containerd restarted"
    SOURCE = "source broken"
    DIED = "source died"
    VANISHED = "layers vanished"
    REMOVED = "image removed"


LASTING: Final = frozenset({Cause.DIED, Cause.VANISHED})
"""What a container that ran before does not recover from."""


@attrs.frozen
class Trouble:
    """Something that explains errors.

    Attributes:
        name: What was done.
        began: Seconds since the soak began.
        ended: The same, when everything worked again; infinite as long as it does not.
        images: Names of the images that it concerns; empty for all, and for what has no image.
    """

    cause: Cause
    name: str
    began: float
    ended: float
    images: frozenset[str] = frozenset()


@attrs.frozen
class Kind:
    """A kind of error that may happen.

    Attributes:
        pattern: Found in its text, in lower case.
        causes: What explains it.
    """

    name: str
    pattern: "re.Pattern[str]"
    causes: frozenset[Cause]


@attrs.frozen
class Operation:
    """Something that was tried.

    Attributes:
        kind: Of operation, such as "pull".
        image: Name of the image; "" for none.
        began: Seconds since the soak began; for a container that has been running, since then.
        started: The same, of this very operation.
        ended: The same.
        error: What went wrong, in words; "" for nothing.
        wrong: Whether a container saw wrong files.
    """

    kind: str
    image: str
    began: float
    started: float
    ended: float
    error: str = ""
    wrong: bool = False


def kind_of_error(text: str, kinds: Sequence[Kind]) -> Kind | None:
    """Tell which kind an error is; None if it is none that is known."""
    low = text.lower()
    return next((kind for kind in kinds if kind.pattern.search(low)), None)


def explanation(
    operation: Operation, troubles: Iterable[Trouble], kinds: Sequence[Kind]
) -> str | None:
    """Tell the kind of an operation's error, if something that went on at the time explains it.

    Returns:
        The name of the kind; None for an error that nothing explains.
    """
    own = [each for each in troubles if not each.images or operation.image in each.images]
    if operation.wrong:
        # overlayfs cannot know of it, and keeps which names it has not found.
        under_it = any(
            each.cause is Cause.VANISHED
            and operation.began <= each.began + MARGIN
            and each.began <= operation.ended
            for each in own
        )
        return VANISHED_UNDER_IT if under_it else None
    kind = kind_of_error(operation.error, kinds)
    if kind is None:
        return None
    explained = any(
        each.cause in kind.causes
        and each.began <= operation.ended
        and (operation.began if each.cause in LASTING else operation.started)
        <= each.ended + MARGIN
        for each in own
    )
    return kind.name if explained else None


def shows_wrong_files(seen: Sequence[str], expected: Counter[str], *, succeeded: bool) -> bool:
    """Tell whether a container printed what it should not.

    Args:
        seen: The lines.
        expected: Those of an image whose files are right.
        succeeded: Whether the command ended well, so that nothing may be missing.
    """
    if succeeded:
        return Counter(seen) != expected
    return not set(seen) <= set(expected)


def growth(series: Sequence[float]) -> float:
    """Tell by how much a figure has grown: the last third's mean over the middle one's.

    The first third is for warming up. A series of fewer than six figures says nothing: 0.
    """
    third = len(series) // 3
    if third < 2:
        return 0.0
    middle, last = series[third : 2 * third], series[-third:]
    return sum(last) / len(last) - sum(middle) / len(middle)
