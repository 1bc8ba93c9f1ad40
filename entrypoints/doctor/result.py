"""What a check finds."""

import shlex
from collections.abc import Sequence
from enum import Enum

import attrs


class Outcome(Enum):
    """How a check ends; the value stands in the output.

    Attributes:
        PASS: all is well.
        WARN: it works, and something could be better, or is not known.
        FAIL: layers do not come from a source, or containers do not start.
    """

    PASS = "pass"  # noqa: S105 - nobody is let in by it
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Result:
    """What one check has found.

    Attributes:
        name: of the check; does not change.
        outcome: how it ended.
        what: what was found, in words.
        mend: commands that mend it, or show what is to be mended; nothing else.
        advice: in words, what no command can do: lines to write, or what is to be decided. One of
            them at least is there unless all is well or nothing can be done.
    """

    name: str
    outcome: Outcome
    what: str
    mend: Sequence[str] = ()
    advice: Sequence[str] = ()


quoted = shlex.quote
"""Write a path or a name in a command, so that it is one word."""


def passed(name: str, what: str) -> Result:
    """Say that all is well."""
    return Result(name, Outcome.PASS, what)


def warning(name: str, what: str, *mend: str, advice: Sequence[str] = ()) -> Result:
    """Say that something could be better, or is not known."""
    return Result(name, Outcome.WARN, what, mend, advice)


def failure(name: str, what: str, *mend: str, advice: Sequence[str] = ()) -> Result:
    """Say that something is wrong."""
    return Result(name, Outcome.FAIL, what, mend, advice)
