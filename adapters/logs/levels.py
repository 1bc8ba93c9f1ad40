"""The names of log levels."""

LEVELS = {
    "trace": 10,  # there are no lines below debug
    "debug": 10,
    "info": 20,
    "warn": 30,
    "warning": 30,
    "error": 40,
    "fatal": 50,
    "panic": 50,
}
"""Names and thresholds; the names are those of logrus, which the Go program uses."""

_NAMES = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "fatal"}


def threshold(name: str) -> int | None:
    """Give the threshold of a level, in the numbers of Python's ``logging``.

    Args:
        name: its name in any case, as logrus takes it.

    Returns:
        The number, or None if there is no such level.
    """
    return LEVELS.get(name.lower())


def level_name(number: int) -> str:
    """Give the name of a level.

    Args:
        number: its threshold, one of those in ``LEVELS``.

    Returns:
        The name by which lines have it.
    """
    return _NAMES[number]
