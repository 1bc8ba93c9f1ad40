"""The few forms of TOML that are written, and reading what was parsed without trusting it."""

import json
import re
from collections.abc import Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def text(value: str) -> str:
    """Write a string. What may stand in one of JSON may stand in one of TOML."""
    return json.dumps(value, ensure_ascii=False)


def header(*keys: str) -> str:
    """Write the name of a table without its brackets, such as ``plugins."a.b".c``."""
    return ".".join(key if _BARE.fullmatch(key) else text(key) for key in keys)


def table(value: object) -> Mapping[str, object]:
    """Take a table; whatever else stands there counts as an empty one."""
    return value if isinstance(value, dict) else {}


def inside(value: object, *keys: str) -> Mapping[str, object]:
    """Take a table within tables; an empty one if any of them is not there."""
    for key in keys:
        value = table(value).get(key)
    return table(value)


def strings(value: object) -> tuple[str, ...]:
    """Take the strings of an array; none of whatever else stands there."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def shown(value: object) -> str:
    """Write a value as a message shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    return "nothing" if value is None else str(value)
