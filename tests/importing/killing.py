"""Ending a process before any one of its steps on the disk."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STEPS = frozenset({"os.rename", "os.remove", "os.rmdir", "os.symlink", "os.mkdir"})
"""Audit events of calls that change names (https://docs.python.org/3/library/audit_events.html)."""


class KilledError(BaseException):
    """The process ends here."""


class _Killer:
    """Lets so many steps happen, and none after them, as if the process were not there any more.

    An audit hook cannot be taken away; with no number it does nothing.
    """

    def __init__(self) -> None:
        self.left: int | None = None
        self._installed = False

    def install(self) -> None:
        if not self._installed:
            sys.addaudithook(self._hook)
            self._installed = True

    def _hook(self, event: str, _arguments: tuple[object, ...]) -> None:
        if self.left is None or event not in _STEPS:
            return
        if self.left == 0:
            raise KilledError
        self.left -= 1


_killer = _Killer()


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """Kill what runs in the block after so many steps; it raises ``KilledError`` then."""
    _killer.install()
    _killer.left = steps
    try:
        yield
    finally:
        _killer.left = None
