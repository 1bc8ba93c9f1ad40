"""What the values of a configuration file may be.

Each function takes a value as TOML has it and gives what it means, or raises ``ValueError`` with
what was expected.
"""

import os
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypeVar

from cvmfs_snapshotter.adapters.logs.levels import LEVELS, threshold
from cvmfs_snapshotter.adapters.metrics.address import Address
from cvmfs_snapshotter.adapters.tracing.settings import Endpoint

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9][A-Za-z0-9_-]{0,62})+")
_REPOSITORY_LENGTH = 255
# What is left of the kernel's PATH_MAX after the path of a layer below the source.
_PATH_BYTES = 3800


def text(value: object) -> str:
    """Take any text."""
    if not isinstance(value, str):
        raise ValueError("a string")  # noqa: TRY004 - one error for all that is wrong
    return value


def table(value: object) -> Mapping[str, object]:
    """Take a table."""
    if not isinstance(value, dict):
        raise ValueError("a table")  # noqa: TRY004 - one error for all that is wrong
    return value


def boolean(value: object) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - one error for all that is wrong
    return value


def name(value: object) -> str:
    """Take the name of a source, which stands in logs, metrics and commands."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            "a name of at most 63 letters, digits, '.', '_' and '-' that begins with a letter or "
            "digit"
        )
    return value


def repository(value: object) -> str:
    """Take the fully qualified name of a CVMFS repository (characters: its ``sanitizer.h``)."""
    if (
        not isinstance(value, str)
        or len(value) > _REPOSITORY_LENGTH
        or not _REPOSITORY.fullmatch(value)
    ):
        raise ValueError("a fully qualified repository name such as 'unpacked.cern.ch'")
    return value


def path(value: object) -> str:
    """Take an absolute path, and give it without slashes that mean nothing."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("an absolute path")
    if not value.isprintable():
        raise ValueError("an absolute path without control characters")
    if ".." in value.split("/"):
        raise ValueError("an absolute path without '..'")
    if len(value.encode()) > _PATH_BYTES:
        raise ValueError(f"a path of at most {_PATH_BYTES} bytes")
    plain = os.path.normpath("/" + value.lstrip("/"))
    if plain == "/":
        raise ValueError("a path other than the root directory")
    return plain


def seconds(most: float) -> Callable[[object], float]:
    """Take a time in seconds, above 0.

    Args:
        most: the longest that is allowed.
    """

    def read(value: object) -> float:
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        if number is None or not 0 < number <= most:
            raise ValueError(f"a number of seconds above 0 and at most {most:g}")
        return float(number)

    return read


def level(value: object) -> int:
    """Take the name of a log level; the result is in the numbers of Python's ``logging``."""
    number = threshold(value) if isinstance(value, str) else None
    if number is None:
        raise ValueError(" or ".join(repr(word) for word in LEVELS))
    return number


def choice(*allowed: str) -> Callable[[object], str]:
    """Take one of several words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(" or ".join(repr(word) for word in allowed))
        return value

    return read


def address(value: object) -> Address:
    """Take an address to serve metrics on."""
    try:
        return Address.parse(text(value))
    except ValueError:
        raise ValueError(
            "an IP address with a port such as '127.0.0.1:9732' or '[::1]:9732', or 'unix:' with "
            "an absolute path of at most 107 bytes"
        ) from None


def endpoint(value: object) -> Endpoint:
    """Take the address of a collector of spans."""
    try:
        return Endpoint.parse(text(value))
    except ValueError:
        raise ValueError(
            "the URL of a collector that takes OTLP over HTTP, such as 'http://127.0.0.1:4318'"
        ) from None


def ratio(value: object) -> float:
    """Take a share of a whole."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if number is None or not 0 <= number <= 1:
        raise ValueError("a number from 0 to 1")
    return float(number)


E = TypeVar("E", bound=Enum)


def one_of(kind: type[E]) -> Callable[[object], E]:
    """Take the value of one member of an enumeration.

    Args:
        kind: the enumeration; its values are words.
    """
    read = choice(*(member.value for member in kind))
    return lambda value: kind(read(value))
