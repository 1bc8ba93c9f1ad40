"""Regular expressions by the standard library."""

import re

from cvmfs_snapshotter.domain.ports.patterns import Pattern


class MemoryPatterns:
    """Implements ``Patterns`` as far as Python and RE2 share their syntax.

    For tests only: it backtracks, so that matching is not linear.
    """

    def compile(self, expression: str) -> Pattern | None:
        """See ``Patterns.compile``."""
        try:
            compiled = re.compile(expression)
        except (re.error, RecursionError, OverflowError):
            return None
        return lambda text: compiled.search(text) is not None
