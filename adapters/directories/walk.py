"""A walk through a tree that a container has had its hands on, or still has.

It never follows a symbolic link and never enters another mount, whatever is changed under way, and
it takes neither stack nor descriptors in proportion to the depth: a container may have nested
directories a hundred thousand deep.
"""

import errno
import os
from typing import Protocol

import attrs

_HANDLE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
"""What is left of a name that was a directory a moment ago."""


class Visitor(Protocol):
    """What is done on a walk. Whatever it raises ends the walk."""

    def enter(self, about: os.stat_result) -> None:
        """Take note of a directory that is entered."""
        ...

    def entry(self, here: int, entry: os.DirEntry[str]) -> bool:
        """Take note of an entry of the directory ``here``; return whether to enter it later."""
        ...

    def leave(self, here: int, name: str) -> None:
        """Take note that all below ``name``, an entry of the directory ``here``, was visited."""
        ...

    def mounted(self, name: str) -> None:
        """Take note of an entry that is not entered because something is mounted there."""
        ...


@attrs.frozen
class _Level:
    """A directory on the way down: its name, its identity, and what is still to be entered."""

    name: str
    identity: tuple[int, int]
    waiting: list[str]


def walk(top: int, name: str, visitor: Visitor) -> None:
    """Visit a directory and all below it.

    What vanishes under way is passed over.

    Args:
        top: descriptor of the directory that holds it.
        name: its name there.
        visitor: what is done.

    Raises:
        OSError: a directory cannot be read; or what the visitor raised.
    """
    mount = _mount(top)
    levels = [_Level("", _identity(os.fstat(top)), [name])]
    here = os.dup(top)
    try:
        while True:
            level = levels[-1]
            if level.waiting:
                child = _enter(here, level.waiting.pop(), mount, visitor)
                if child is not None:
                    here, left = child[0], here
                    os.close(left)
                    levels.append(child[1])
                    _read(here, levels[-1], visitor)
            elif len(levels) == 1:
                return
            else:
                del levels[-1]
                depth = len(levels)
                above = _above(here, levels, top)
                here, left = above, here
                os.close(left)
                if len(levels) == depth:
                    visitor.leave(here, level.name)
    finally:
        os.close(here)


def _enter(here: int, name: str, mount: str, visitor: Visitor) -> tuple[int, _Level] | None:
    """Open a directory; None if it is not one any more, or another file system."""
    try:
        # A handle first: whatever is mounted there could hang when it is really opened.
        handle = os.open(name, _HANDLE, dir_fd=here)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    try:
        if _mount(handle) != mount:
            visitor.mounted(name)
            return None
        child = os.open(".", _DIRECTORY, dir_fd=handle)
    finally:
        os.close(handle)
    about = os.fstat(child)
    visitor.enter(about)
    return child, _Level(name, _identity(about), [])


def _read(here: int, level: _Level, visitor: Visitor) -> None:
    with os.scandir(here) as entries:
        for entry in entries:
            if visitor.entry(here, entry):
                level.waiting.append(entry.name)


def _above(here: int, levels: list[_Level], top: int) -> int:
    """Go up by one level; if the way was changed meanwhile, down again from the top.

    Levels that are not where they were are struck off.
    """
    above = os.open("..", _DIRECTORY, dir_fd=here)
    if _identity(os.fstat(above)) == levels[-1].identity:
        return above
    os.close(above)
    at = os.dup(top)
    for depth, level in enumerate(levels[1:], start=1):
        try:
            below = os.open(level.name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
        except OSError:
            below = None
        if below is not None and _identity(os.fstat(below)) == level.identity:
            os.close(at)
            at = below
            continue
        if below is not None:
            os.close(below)
        del levels[depth:]
        break
    return at


def _identity(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino


def _mount(descriptor: int) -> str:
    """Tell the mount that a descriptor is on (proc(5), "fdinfo").

    The device number would not do: a bind mount of the same file system has the same.
    """
    about = os.open(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(about, 4096).decode("ascii")
    finally:
        os.close(about)
    return text.partition("mnt_id:")[2].split("\n", 1)[0].strip()
