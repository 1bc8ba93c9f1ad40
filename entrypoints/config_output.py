"""The effective configuration, as a file that says all of it and as JSON."""

import json
from collections.abc import Mapping

from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.logs.levels import level_name
from cvmfs_snapshotter.adapters.tracing.settings import TracingSettings

from .config import Config
from .containerd_config.toml import text
from .reloading import CommandLine


def as_plain(config: Config) -> dict[str, object]:
    """Give a configuration by the keys of the file, those with defaults included.

    A table without which something is off is None.
    """
    return {
        "staged": config.staged,
        "log_level": level_name(CommandLine("", None).level(config)),
        "metrics": {"address": str(config.metrics)} if config.metrics else None,
        "tracing": _tracing(config.tracing) if config.tracing else None,
        "source": [_source(source) for source in config.sources],
    }


def _tracing(tracing: TracingSettings) -> dict[str, object]:
    return {"endpoint": str(tracing.endpoint), "ratio": tracing.ratio}


def _source(source: SourceSettings) -> dict[str, object]:
    named = {"repository": source.repository} if source.kind is SourceKind.CVMFS else {}
    return {
        "name": source.name,
        "kind": source.kind.value,
        **named,
        "path": source.path,
        "host_path": source.host_path,
        "whiteouts": source.policy.whiteouts.value,
        "implied_dirs": source.policy.implied_directories.value,
        "ownership": source.policy.ownership.value,
        "lookup_deadline": source.lookup_deadline,
        "scan_deadline": source.scan_deadline,
        "keep_mounted": source.keep_mounted,
    }


def as_toml(config: Config) -> str:
    """Give a configuration as a file that means the same, whatever the defaults become."""
    lines: list[str] = []
    tables: list[str] = []
    for key, value in as_plain(config).items():
        if isinstance(value, list):
            for one in value:
                tables += ["", f"[[{key}]]", *_pairs(one)]
        elif isinstance(value, dict):
            tables += ["", f"[{key}]", *_pairs(value)]
        elif value is not None:
            lines += _pairs({key: value})
    # Keys behind the first table would belong to it.
    return "\n".join((*lines, *tables))


def _pairs(values: Mapping[str, object]) -> list[str]:
    return [
        f"{key} = {text(value) if isinstance(value, str) else json.dumps(value)}"
        for key, value in values.items()
    ]
