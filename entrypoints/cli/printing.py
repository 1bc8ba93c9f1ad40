"""Printing to whatever terminal or program there is."""

import os
import sys
from collections.abc import Iterable


def can_show(text: str) -> bool:
    """Tell whether standard output's encoding has the characters of a text."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def print_lines(lines: Iterable[str]) -> None:
    """Print lines on standard output.

    What its encoding lacks is escaped. A reader that ends early, such as ``head``, is no error.

    Args:
        lines: without their ends.
    """
    encoding = sys.stdout.encoding or "ascii"
    try:
        for line in lines:
            print(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would raise once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
