"""The configuration file.

It is TOML: ``[[source]]`` tables, or the two keys of the Go program for one source. Without a file
the defaults of the Go program hold.
"""

import os
import tomllib
from collections.abc import Mapping
from typing import Any

import attrs

from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.metrics.address import Address
from cvmfs_snapshotter.adapters.tracing.settings import TracingSettings
from cvmfs_snapshotter.domain.policy import ImpliedDirectories, Ownership, Policy, Whiteouts

from . import config_values as values
from .config_table import Problems, Table, shown
from .errors import MeaninglessError
from .trust import distrust, distrust_way

DEFAULT_REPOSITORY = "unpacked.cern.ch"

_MOST_LOOKUP_SECONDS = 60.0
_MOST_SCAN_SECONDS = 3600.0


class ConfigError(MeaninglessError):
    """A configuration file that cannot be meant; the message has a line for each problem."""


@attrs.frozen
class Config:
    """What a file says.

    Attributes:
        sources: in the order in which they are asked.
        staged: answer containerd 2.4, when it unpacks in parallel, with staged layers.
        metrics: where they are served; None if they are not.
        log_level: threshold of the log, in the numbers of Python's ``logging``; None if the file
            does not say.
        tracing: where spans are sent; None if there are none.
    """

    sources: tuple[SourceSettings, ...]
    staged: bool = False
    metrics: Address | None = None
    log_level: int | None = None
    tracing: TracingSettings | None = None


def default_config() -> Config:
    """Give what holds without a file."""
    return Config((_single(None, None),))


def load_config(file: str) -> Config:
    """Read a configuration file.

    Args:
        file: its path; empty for none.

    Returns:
        What it says.

    Raises:
        ConfigError: it cannot be read, is not TOML, others could change it, or it has keys or
            values that cannot be meant; all of them are named.
    """
    if not file:
        return default_config()
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - the path is the operator's, as it is
            _require_trusted(opened.fileno(), file)
            data = tomllib.load(opened)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: byte {error.start} is not UTF-8") from None
    except ValueError as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{file}: not TOML that can be read: nested too deeply") from None
    problems = Problems()
    config = _read(data, problems)
    if problems.found:
        raise ConfigError("\n".join(f"{file}: {problem}" for problem in problems.found))
    return config


def _require_trusted(descriptor: int, file: str) -> None:
    # Whoever can change it decides what root's daemon hands to containers.
    reason = distrust(os.fstat(descriptor)) or distrust_way(file)
    if reason:
        raise ConfigError(f"{file}: cannot be relied on: {reason}")


def _read(data: Mapping[str, object], problems: Problems) -> Config:
    table = Table(data, "", problems)
    tables = table.take("source", _tables)
    repository = table.take("repository", values.repository)
    mountpoint = table.take("absolute-mountpoint", values.path)
    staged = table.take("staged", values.boolean) or False
    metrics = _metrics(table, problems)
    log_level = table.take("log_level", values.level)
    tracing = _tracing(table, problems)
    table.finish()
    if "source" not in table:
        sources = [_single(repository, mountpoint)]
        return Config(tuple(sources), staged, metrics, log_level, tracing)
    for key in ("repository", "absolute-mountpoint"):
        if key in table:
            table.complain(key, "stands for one source and cannot be beside [[source]]")
    sources = [
        _source(Table(one, f"source[{number}].", problems))
        for number, one in enumerate(tables or ())
    ]
    _refuse_twins(sources, problems)
    return Config(tuple(sources), staged, metrics, log_level, tracing)


def _single(repository: str | None, mountpoint: str | None) -> SourceSettings:
    repository = repository or DEFAULT_REPOSITORY
    path = mountpoint or f"/cvmfs/{repository}"
    return SourceSettings(
        name=repository.partition(".")[0], kind=SourceKind.CVMFS, repository=repository, path=path
    )


def _metrics(table: Table, problems: Problems) -> Address | None:
    found = table.take("metrics", values.table)
    if found is None:
        return None
    metrics = Table(found, "metrics.", problems)
    address = metrics.take("address", values.address)
    metrics.finish()
    if "address" not in metrics:
        metrics.complain("address", "missing")
    return address


def _tracing(table: Table, problems: Problems) -> TracingSettings | None:
    found = table.take("tracing", values.table)
    if found is None:
        return None
    tracing = Table(found, "tracing.", problems)
    endpoint = tracing.take("endpoint", values.endpoint)
    ratio = tracing.take("ratio", values.ratio)
    tracing.finish()
    if "endpoint" not in tracing:
        tracing.complain("endpoint", "missing")
    if endpoint is None:
        return None
    return TracingSettings(endpoint) if ratio is None else TracingSettings(endpoint, ratio)


def _tables(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("[[source]] tables")
    if not value:
        raise ValueError("at least one [[source]]")
    return value


def _source(table: Table) -> SourceSettings:
    name = _required(table, "name", table.take("name", values.name))
    kind = table.take("kind", values.choice("cvmfs", "directory")) or "cvmfs"
    repository = table.take("repository", values.repository)
    path = table.take("path", values.path)
    host_path = table.take("host_path", values.path)
    policy = _policy(table)
    lookup = table.take("lookup_deadline", values.seconds(_MOST_LOOKUP_SECONDS))
    scan = table.take("scan_deadline", values.seconds(_MOST_SCAN_SECONDS))
    keep = table.take("keep_mounted", values.boolean)
    table.finish()
    if kind == "directory":
        if "repository" in table:
            table.complain("repository", "a source of kind 'directory' has none")
        path = _required(table, "path", path)
    else:
        repository = _required(table, "repository", repository)
        path = path or (f"/cvmfs/{repository}" if repository else "")
    settings = SourceSettings(
        name=name, kind=SourceKind(kind), repository=repository or "", path=path, policy=policy
    )
    given: dict[str, Any] = {
        "host_path": host_path,
        "lookup_deadline": lookup,
        "scan_deadline": scan,
    }
    given = {key: value for key, value in given.items() if value}
    return attrs.evolve(settings, **given, keep_mounted=keep is not False)


def _required(table: Table, key: str, value: str | None) -> str:
    if key not in table:
        table.complain(key, "missing")
    return value or ""


def _policy(table: Table) -> Policy:
    whiteouts = table.take("whiteouts", values.one_of(Whiteouts))
    implied = table.take("implied_dirs", values.one_of(ImpliedDirectories))
    ownership = table.take("ownership", values.one_of(Ownership))
    usual = Policy()
    return Policy(
        whiteouts or usual.whiteouts,
        implied or usual.implied_directories,
        ownership or usual.ownership,
    )


def _refuse_twins(sources: list[SourceSettings], problems: Problems) -> None:
    for key in ("name", "path"):
        seen: dict[str, int] = {}
        for number, source in enumerate(sources):
            value: str = getattr(source, key)
            if value and seen.setdefault(value, number) != number:
                first = f"source[{seen[value]}]"
                problems.note(f"source[{number}].{key}", f"{shown(value)} is that of {first} too")
