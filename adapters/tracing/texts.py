"""Texts of others in spans."""

from collections.abc import Mapping

MAX_TEXT = 1024
"""Longest text of an attribute, in characters: much of it comes from image authors."""

PREFIX = "cvmfs_snapshotter."
"""Of the names of our own attributes."""


def clean(attributes: Mapping[str, str | int]) -> dict[str, str | int]:
    """Make attributes of a span from what is known, whatever it is.

    A text that is no UTF-8 would cost all spans that are sent with it.

    Args:
        attributes: by name; a text may be of any length and have undecodable bytes in it.

    Returns:
        Those that say something.
    """
    return {
        key: value if isinstance(value, int) else _text(value)
        for key, value in attributes.items()
        if value != ""
    }


def _text(text: str) -> str:
    return text[:MAX_TEXT].encode(errors="replace").decode()
