"""Marked regions of a file: what was there before stands in each of them as comments.

So a file can be brought back byte for byte, also after other lines of it were changed.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

import attrs

from .errors import RefusedError
from .statements import lines_of

BEGIN = "# >>> cvmfs-snapshotter containerd-setup (--uninstall takes it out; do not edit)"
"""The first line of a region."""

END = "# <<< cvmfs-snapshotter containerd-setup"
"""The last line of a region."""

_WAS = "#| "
_UNENDED = "#$ the last line had no end"
_MADE = "#+ made from sha256:"
_VERSION = re.compile("version = ([0-9]{1,4})")


@attrs.frozen
class Change:
    """What one region is to do.

    Attributes:
        start: number of the first line that it replaces, from 0.
        end: number of the line behind the last; the same for an insertion.
        lines: what stands there instead, without ends of lines.
    """

    start: int
    end: int
    lines: tuple[str, ...]


@attrs.frozen
class Undone:
    """A file without regions.

    Attributes:
        text: what it was before.
        made: the sum of what it was made with, beside the regions; None if it was there before.
        version: of the file, if a region says it; 0 if none does.
    """

    text: str
    made: str | None
    version: int

    @property
    def alone(self) -> bool:
        """Whether it is, but for the regions, as it was when it was made."""
        return self.made == sum_of(self.text)


def apply(lines: Sequence[str], changes: Iterable[Change], *, made: str | None = None) -> str:
    """Put regions into a file.

    Args:
        lines: those of the file, with their ends.
        changes: what to do, at places that do not overlap.
        made: remember that the file was made with them, and with what this is the sum of.
    """
    result: list[str] = []
    done = 0
    # The first region says what is true of the whole file.
    note = [] if made is None else [f"{_MADE}{made}\n"]
    if lines and not lines[-1].endswith("\n"):
        note.append(f"{_UNENDED}\n")
        lines = [*lines[:-1], f"{lines[-1]}\n"]
    for change in sorted(changes, key=lambda one: (one.start, one.end)):
        result += lines[done : change.start]
        was = [f"{_WAS}{line}" for line in lines[change.start : change.end]]
        new = [f"{line}\n" for line in change.lines]
        result += [f"{BEGIN}\n", *note, *was, *new, f"{END}\n"]
        note = []
        done = change.end
    return "".join([*result, *lines[done:]])


def undo(text: str) -> Undone:
    """Take the regions out of a file.

    Args:
        text: of the file.

    Raises:
        RefusedError: somebody changed the marks.
    """
    result: list[str] = []
    noted: list[str] = []
    for line, inside in _marked(lines_of(text)):
        if not inside:
            result.append(line)
        elif line.startswith(_WAS):
            result.append(line.removeprefix(_WAS))
        else:
            noted.append(line.rstrip("\r\n"))
    before = "".join(result)
    if _UNENDED in noted:
        before = before.removesuffix("\n")
    made = [line.removeprefix(_MADE) for line in noted if line.startswith(_MADE)]
    version = [int(found[1]) for found in map(_VERSION.fullmatch, noted) if found]
    return Undone(before, made[0] if made else None, version[0] if version else 0)


def _marked(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Give each line but the marks, and whether it is in a region."""
    began = 0
    for number, line in enumerate(lines, 1):
        plain = line.rstrip("\r\n")
        if plain not in {BEGIN, END}:
            yield line, bool(began)
        elif (plain == BEGIN) == bool(began):
            raise RefusedError(_HALF.format(began or number))
        else:
            began = 0 if began else number
    if began:
        raise RefusedError(_HALF.format(began))


_HALF = (
    "line {}: a mark of containerd-setup without its other half; put the line back, or the file"
)


def sum_of(text: str) -> str:
    """Give the sum by which a text is known again, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
