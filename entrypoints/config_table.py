"""Reading the tables of a configuration file, with every problem in it noted."""

import difflib
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

T = TypeVar("T")

_SHOWN = 80


@attrs.define
class Problems:
    """What is wrong with a file, in the order in which it was found."""

    found: list[str] = attrs.field(factory=list)

    def note(self, key: str, text: str) -> None:
        """Note one problem of one dotted key."""
        self.found.append(f"{key}: {text}")


class Table:
    """One table of the file; its keys are taken from it, and what is left is unknown."""

    def __init__(self, values: Mapping[str, object], prefix: str, problems: Problems) -> None:
        """Start with nothing taken.

        Args:
            values: the table as TOML has it.
            prefix: where it stands, such as ``source[0].``; empty for the file itself.
            problems: takes what is wrong.
        """
        self._values = values
        self._prefix = prefix
        self._problems = problems
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        """Tell whether the file has the key."""
        return key in self._values

    def take(self, key: str, read: Callable[[object], T]) -> T | None:
        """Take one key.

        Args:
            key: which.
            read: turns the value into what it means; raises ``ValueError`` with what was expected.

        Returns:
            What it means; None if the key is not there or its value cannot be meant.
        """
        self._known.append(key)
        if key not in self._values:
            return None
        value = self._values[key]
        try:
            return read(value)
        except ValueError as error:
            self.complain(key, f"expected {error}, not {shown(value)}")
            return None

    def complain(self, key: str, text: str) -> None:
        """Note a problem of one key."""
        self._problems.note(f"{self._prefix}{_quoted(key)}", text)

    def finish(self) -> None:
        """Note every key that was not taken, with the known one that is most like it."""
        for key in self._values:
            if key in self._known:
                continue
            like = difflib.get_close_matches(key.lower(), self._known, n=1, cutoff=0.5)
            hint = f"did you mean {like[0]!r}?" if like else f"known are {', '.join(self._known)}"
            self.complain(key, f"unknown key; {hint}")


def shown(value: object) -> str:
    """Give a value as a message shows it: TOML's own words, and not too long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _quoted(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else repr(key)[:_SHOWN]
