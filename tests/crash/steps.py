"""The steps of a process at which it can be killed: calls that change files, and SQL statements.

They are found by taking the place of functions of ``os`` and of the connections that ``sqlite3``
makes. The product knows nothing of it.
"""

import functools
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

CALLS = (
    "mkdir",
    "rmdir",
    "unlink",
    "remove",
    "rename",
    "replace",
    "symlink",
    "chmod",
    "chown",
    "fchmod",
    "fchown",
    "utime",
    "mknod",
    "setxattr",
    "fsync",
)
"""Functions of ``os`` that change what is on disk, as far as the product uses them."""

_READING = ("SELECT", "WITH", "EXPLAIN", "PRAGMA")


class Steps:
    """Counts steps, and ends the process before or after one of them.

    Each call and statement has two moments, before and after it; the first one is number 1.
    """

    def __init__(self, dying: Callable[[str], None] = lambda _: None) -> None:
        """Count nothing yet.

        Args:
            dying: ends the process; gets the moment in words.
        """
        self.seen = 0
        self._dying = dying
        self._deadly = 0
        self._armed = False
        self._lock = threading.Lock()

    def arm(self, deadly: int) -> None:
        """Count from now on, and die at that moment; 0 for never."""
        self._deadly = deadly
        self._armed = True

    def disarm(self) -> None:
        """Count no more."""
        self._armed = False

    def moment(self, words: str) -> None:
        """Let one moment pass."""
        if not self._armed:
            return
        with self._lock:
            self.seen += 1
            if self.seen == self._deadly:
                self._dying(words)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function that has a moment before and one after the call."""

        @functools.wraps(call)
        def stepping(*args: Any, **more: Any) -> Any:
            self.moment(f"before {name} {args[:2]}")
            result = call(*args, **more)
            self.moment(f"after {name} {args[:2]}")
            return result

        return stepping


@contextmanager
def counted(steps: Steps) -> Iterator[None]:
    """Have steps counted for the time of the block.

    Nothing is synced meanwhile: what a killed process has written is there all the same.
    """
    with ExitStack() as patches:
        for name in CALLS:
            call = getattr(os, name) if name != "fsync" else _no_sync
            patches.enter_context(mock.patch.object(os, name, steps.around(name, call)))
        connect = functools.partial(sqlite3.connect, factory=_connection(steps))
        patches.enter_context(mock.patch.object(sqlite3, "connect", connect))
        yield


def _no_sync(_descriptor: int) -> None:
    pass


def _connection(steps: Steps) -> type[sqlite3.Connection]:
    def around(statement: str, execute: Callable[[str], Any]) -> Any:
        if statement.startswith("PRAGMA synchronous"):
            return execute("PRAGMA synchronous=OFF")
        reading = statement.lstrip().upper().startswith(_READING)
        if reading and "journal_mode" not in statement:
            return execute(statement)
        steps.moment(f"before {statement[:40]}")
        result = execute(statement)
        steps.moment(f"after {statement[:40]}")
        return result

    class Cursor(sqlite3.Cursor):
        """Has moments around each statement that may change something."""

        def execute(self, statement: str, *parameters: Any) -> Any:
            execute = super().execute
            return around(statement, lambda text: execute(text, *parameters))

    class Connection(sqlite3.Connection):
        """The same; its own methods do not use its cursors."""

        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, statement: str, *parameters: Any) -> Any:
            execute = super().execute
            return around(statement, lambda text: execute(text, *parameters))

        def executemany(self, statement: str, *parameters: Any) -> Any:
            execute = super().executemany
            return around(statement, lambda text: execute(text, *parameters))

        def backup(self, *args: Any, **more: Any) -> None:
            steps.moment("before a backup")
            super().backup(*args, **more)
            steps.moment("after a backup")

    return Connection
