"""Colours on a terminal."""

import os
import sys


def coloured(text: str, code: str) -> str:
    """Colour a text, if standard output is a terminal and nobody objects (https://no-color.org).

    Args:
        text: the text.
        code: the number of ECMA-48's "Select Graphic Rendition".
    """
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return f"\x1b[{code}m{text}\x1b[0m"
