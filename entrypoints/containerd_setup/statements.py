"""Where the statements of a TOML file begin and end, by lines.

No parser of the standard library says where it found something, so lines are put together until
they parse. In TOML a statement ends with its line: when the first lines of a file are a file of
their own, the next line begins a new statement.
"""

import re
import tomllib
from collections.abc import Sequence
from enum import Enum

import attrs

from .errors import RefusedError

_MOST_LINES = 1000
_LINE = re.compile(r"[^\n]*\n|[^\n]+\Z")
_KEY = re.compile(r"""(?:[^"'=]|"(?:[^"\\]|\\.)*"|'[^']*')*""")


class Kind(Enum):
    """What a statement is."""

    TABLE = "table"
    ENTRY = "entry"
    SETTING = "setting"


@attrs.frozen
class Statement:
    """One statement.

    Attributes:
        kind: the header of a table, the header of one more table of an array, or a setting.
        table: the keys of the table that a header begins, or in which a setting stands.
        keys: the keys of a setting, several if they have dots between them; none for a header.
        start: number of its first line, from 0.
        end: number of the line behind its last.
    """

    kind: Kind
    table: tuple[str, ...]
    keys: tuple[str, ...]
    start: int
    end: int


def lines_of(text: str) -> list[str]:
    """Split a text into lines that keep their ends."""
    return _LINE.findall(text)


def statements_of(lines: Sequence[str]) -> list[Statement]:
    """Find the statements.

    Args:
        lines: those of a text that is TOML, with their ends.

    Returns:
        The statements in their order.

    Raises:
        RefusedError: one of them has more than a thousand lines, or no end.
    """
    found: list[Statement] = []
    table: tuple[str, ...] = ()
    start = 0
    while start < len(lines):
        first = lines[start].strip()
        if not first or first.startswith("#"):
            start += 1
            continue
        end = _end(lines, start)
        one = _statement("".join(lines[start:end]).lstrip(), table, start, end)
        found.append(one)
        table = one.table
        start = end
    return found


def _end(lines: Sequence[str], start: int) -> int:
    for end in range(start + 1, min(start + _MOST_LINES, len(lines)) + 1):
        try:
            tomllib.loads("".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue
        return end
    raise RefusedError(f"line {start + 1} begins a statement whose end cannot be found")


def _statement(text: str, table: tuple[str, ...], start: int, end: int) -> Statement:
    if text.startswith("["):
        kind = Kind.ENTRY if text.startswith("[[") else Kind.TABLE
        return Statement(kind, _path(tomllib.loads(text)), (), start, end)
    key = _KEY.match(text)
    keys = _path(tomllib.loads(f"{key[0]}= {{}}")) if key else ()
    return Statement(Kind.SETTING, table, keys, start, end)


def _path(parsed: object) -> tuple[str, ...]:
    """Give the keys that lead to the only thing of a parsed text, which is empty."""
    keys = []
    while parsed:
        if isinstance(parsed, list):
            (parsed,) = parsed
        elif isinstance(parsed, dict):
            ((key, parsed),) = parsed.items()
            keys.append(key)
    return tuple(keys)
