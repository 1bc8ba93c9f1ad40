"""Whether a configuration has containerd take its snapshots from us."""

import re
import tomllib

from ..containerd_config.names import SNAPSHOTTER

_SETTING = re.compile(rf"""^[^#\n]*\bsnapshotter["']?\s*=\s*["']{SNAPSHOTTER}["']""", re.MULTILINE)


def names_us(text: str) -> bool:
    """Tell whether a snapshotter is set to ours anywhere in a text.

    A proxy plugin of our name that nobody is told to use does not count: containerd starts pods
    without it.

    Args:
        text: TOML, or a template of it.
    """
    try:
        return _within(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError):
        return _SETTING.search(text) is not None


def _within(value: object) -> bool:
    if isinstance(value, dict):
        return value.get("snapshotter") == SNAPSHOTTER or any(map(_within, value.values()))
    return isinstance(value, list) and any(map(_within, value))
