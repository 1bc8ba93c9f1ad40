"""What an import has taken over, written down until it is confirmed or undone.

Its name says how far the import has come. No daemon starts as long as directories are being moved,
and nothing can be given back once the old state is being deleted.
"""

import json
import os
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

import attrs

from ..errors import StartError
from ..root import CONFIRMING, IMPORTED, IMPORTING


class Stage(Enum):
    """How far an import has come; the value is the name of the journal."""

    MOVING = IMPORTING
    MOVED = IMPORTED
    CONFIRMING = CONFIRMING


@attrs.frozen
class Journal:
    """What was taken over.

    Attributes:
        base: where it came from.
        directories: identifiers whose directories came along.
        snapshots: identifier and name of each.
        left_out: identifier and name of what was there, and was not taken over.
        entries: names in the old ``snapshots`` before anything was moved.
    """

    base: str
    directories: tuple[int, ...]
    snapshots: tuple[tuple[int, str], ...]
    left_out: tuple[tuple[int, str], ...]
    entries: tuple[str, ...]


@attrs.frozen
class Written:
    """A journal that was found.

    Attributes:
        journal: what it says.
        stage: how far the import has come.
    """

    journal: Journal
    stage: Stage


def find_journal(root: str) -> Written | None:
    """Read the journal of a state directory; None if there is none.

    Raises:
        StartError: it cannot be read.
    """
    for stage in Stage:
        path = Path(root) / stage.value
        try:
            found = json.loads(path.read_text())
            journal = Journal(
                str(found["base"]),
                tuple(map(int, found["directories"])),
                _named(found["snapshots"]),
                _named(found["left_out"]),
                tuple(map(str, found["entries"])),
            )
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            return None
        except OSError as error:
            raise StartError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StartError(f"{path} is damaged: {error!r}") from error
        return Written(journal, stage)
    return None


def _named(pairs: Iterable[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    return tuple((int(identifier), str(name)) for identifier, name in pairs)


def open_journal(root: str, journal: Journal) -> None:
    """Write down, durably, what is about to be moved.

    Raises:
        OSError: that failed; nothing is written down then.
    """
    path = Path(root) / IMPORTING
    new = path.with_suffix(".new")
    with new.open("w") as file:
        json.dump(attrs.asdict(journal), file)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    _sync(root)


def close_journal(root: str) -> None:
    """Write down that everything was moved.

    Raises:
        OSError: that failed.
    """
    _rename(root, Stage.MOVING, Stage.MOVED)


def reopen_journal(root: str) -> None:
    """Write down that everything is about to be moved back.

    Raises:
        OSError: that failed.
    """
    _rename(root, Stage.MOVED, Stage.MOVING)


def end_journal(root: str) -> None:
    """Write down that the old state is about to be deleted.

    Raises:
        OSError: that failed; nothing may be deleted then.
    """
    _rename(root, Stage.MOVED, Stage.CONFIRMING)


def _rename(root: str, before: Stage, after: Stage) -> None:
    (Path(root) / before.value).rename(Path(root) / after.value)
    _sync(root)


def forget_journal(root: str) -> None:
    """Forget the import.

    Raises:
        OSError: that failed.
    """
    for stage in Stage:
        (Path(root) / stage.value).unlink(missing_ok=True)
    _sync(root)


def _sync(root: str) -> None:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
