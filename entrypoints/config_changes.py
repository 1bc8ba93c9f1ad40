"""What differs between two configurations, and what of it a running daemon can take over."""

from collections.abc import Iterator
from enum import Enum

import attrs

from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.logs.levels import level_name
from cvmfs_snapshotter.adapters.metrics.address import Address
from cvmfs_snapshotter.adapters.tracing.settings import TracingSettings

from .config import Config

_AT_ONCE = ("lookup_deadline", "scan_deadline", "keep_mounted", "policy")
"""What can change about a source that is looked after already: nothing that a snapshot, a circuit
or a probe process is bound to."""

_KEYS = {"implied_directories": "implied_dirs"}


@attrs.frozen
class Change:
    """One key whose value differs.

    Attributes:
        key: dotted; sources by their names.
        before: what holds.
        after: what the file says now.
        at_once: whether it can be taken over without a restart.
    """

    key: str
    before: object
    after: object
    at_once: bool


def changes(before: Config, after: Config) -> list[Change]:
    """Tell what differs.

    Args:
        before: what holds.
        after: what the file says now.

    Returns:
        A change for each key, that of the whole file first. Sources are compared by their names.
    """
    found = [
        change
        for change in _fields("", before, after, ())
        if change.key not in {"sources", "log_level"}
    ]
    if before.log_level != after.log_level:
        old, new = _level(before.log_level), _level(after.log_level)
        found.append(Change("log_level", old, new, at_once=True))
    return [*found, *_of_sources(before, after)]


def taken_over(before: Config, after: Config) -> Config:
    """Give what holds when everything is taken over that can be.

    Args:
        before: what held.
        after: what the file says now.
    """
    new = {source.name: source for source in after.sources}
    sources = (_adapted(source, new.get(source.name, source)) for source in before.sources)
    return attrs.evolve(before, log_level=after.log_level, sources=tuple(sources))


def _adapted(before: SourceSettings, after: SourceSettings) -> SourceSettings:
    return attrs.evolve(before, **{name: getattr(after, name) for name in _AT_ONCE})


def _of_sources(before: Config, after: Config) -> Iterator[Change]:
    old = {source.name: source for source in before.sources}
    new = {source.name: source for source in after.sources}
    if list(old) != list(new):
        yield Change("source", list(old), list(new), at_once=False)
    for name in [name for name in old if name in new]:
        prefix = f"source.{name}."
        for change in _fields(prefix, old[name], new[name], _AT_ONCE):
            if change.key != f"{prefix}policy":
                yield change
        policies = old[name].policy, new[name].policy
        yield from _fields(prefix, *policies, tuple(attrs.asdict(policies[0])))


def _fields(
    prefix: str, before: attrs.AttrsInstance, after: attrs.AttrsInstance, at_once: tuple[str, ...]
) -> Iterator[Change]:
    for field in attrs.fields(type(before)):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old != new:
            key = prefix + _KEYS.get(field.name, field.name)
            yield Change(key, _plain(old), _plain(new), field.name in at_once)


def _level(number: int | None) -> str | None:
    return None if number is None else level_name(number)


def _plain(value: object) -> object:
    if isinstance(value, Address | TracingSettings):
        return str(value)
    return value.value if isinstance(value, Enum) else value
