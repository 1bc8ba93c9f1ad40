"""What the terminal, or whatever there is, can show."""

import sys


def can_show(text: str) -> bool:
    """Tell whether standard output's encoding has the characters of a text."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
