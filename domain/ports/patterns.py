"""Port: regular expressions of the filter language."""

from collections.abc import Callable
from typing import Protocol

Pattern = Callable[[str], bool]
"""Tells whether the expression is found anywhere in a text."""


class Patterns(Protocol):
    """Compiles expressions in RE2's syntax, which is Go's.

    Matching must take time linear in the text: an expression comes from a caller, and a
    backtracking matcher could be made to hang the daemon.
    """

    def compile(self, expression: str) -> Pattern | None:
        """Compile one expression.

        Args:
            expression: the expression.

        Returns:
            The matcher, or None if it is malformed or its program would be too large; containerd
            lets such an expression match nothing.
        """
        ...
