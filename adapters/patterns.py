"""Regular expressions by RE2, the library whose syntax and guarantees Go's ``regexp`` has."""

from collections.abc import Callable
from functools import cache

from cvmfs_snapshotter.domain.ports.patterns import Pattern

MEMORY_BYTES = 1 << 20
"""What one compiled expression may take; one that needs more counts as malformed."""

MAX_INSTRUCTIONS = 2000
"""Longest program of a compiled expression; a longer one counts as malformed.

``(a?){1000}`` has ten characters and 2004 instructions, and where RE2's cache of states does not
help, a match takes time in proportion to both text and program.
"""


class Re2Patterns:
    """Implements ``Patterns``; matching takes time linear in the text."""

    def compile(self, expression: str) -> Pattern | None:
        """See ``Patterns.compile``."""
        return _compiler()(expression)


@cache
def _compiler() -> Callable[[str], Pattern | None]:
    # Only here: a filter with an expression is rare, and the library takes megabytes.
    import re2  # noqa: PLC0415

    options = re2.Options()
    options.max_mem = MEMORY_BYTES
    options.never_capture = True
    # It would write to standard error whatever a caller sends.
    options.log_errors = False

    def compile_one(expression: str) -> Pattern | None:
        try:
            compiled = re2.compile(expression.encode(), options)
        except (re2.error, UnicodeEncodeError):
            return None
        if compiled.programsize > MAX_INSTRUCTIONS:
            return None
        search = compiled.search
        return lambda text: search(text.encode()) is not None

    return compile_one
