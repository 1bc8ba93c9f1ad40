"""The report of a run: JSON for programs, Markdown for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from .goals import verdicts
from .plot import plot
from .results import Load, Results, Single

_NOTE = """\
Rates are medians of the rounds, latencies medians of the rounds' percentiles, in microseconds.
Processor time is that of the server's whole process for each operation; helpers are our probe
processes. Servers were measured in turns, so that compare what stands in one table, not two runs.
"""


def write(results: Results, about: Mapping[str, object], directory: Path) -> None:
    """Write ``report.json``, ``report.md`` and ``report.svg``.

    Args:
        results: What was measured.
        about: The machine and the run, in words.
        directory: Made if it is not there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    content = {"about": dict(about), **attrs.asdict(results)}
    (directory / "report.json").write_text(json.dumps(content, indent=1) + "\n")
    (directory / "report.md").write_text(markdown(results, about))
    (directory / "report.svg").write_text(plot(results))


def markdown(results: Results, about: Mapping[str, object]) -> str:
    """Give the report as Markdown."""
    parts = ["# Benchmark", _bullets(about), _NOTE, *_goals(results)]
    for section in dict.fromkeys(load.section for load in results.loads):
        chosen = [load for load in results.loads if load.section == section]
        parts += [f"## {section.capitalize()}", _loads(chosen)]
    if results.singles:
        parts += ["## Single figures", _singles(results.singles)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _bullets(about: Mapping[str, object]) -> str:
    return "\n".join(f"* {name}: {value}" for name, value in about.items())


def _goals(results: Results) -> list[str]:
    found = verdicts(results)
    if not found:
        return []
    rows = [(each.what, each.goal, each.measured, "yes" if each.met else "NO") for each in found]
    return ["## Goals", _table(("what", "goal", "measured", "met"), rows)]


def _loads(loads: Sequence[Load]) -> str:
    names = (
        *("operation", "medium", "there", "callers", "server", "per second", "p50", "p99"),
        *("first", "server CPU", "helper CPU", "client CPU", "RSS MiB"),
    )
    rows = [
        (
            *(load.operation, load.medium, load.snapshots, load.callers, load.server),
            *(f"{load.rate:.0f}", f"{load.p50:.0f}", f"{load.p99:.0f}"),
            f"{load.first:.0f}" if load.first else "",
            f"{load.server_cpu:.0f}",
            f"{load.helper_cpu:.0f}" if load.helper_cpu else "",
            *(f"{load.client_cpu:.0f}", f"{load.rss:.0f}"),
        )
        for load in loads
    ]
    return _table(names, rows)


def _singles(singles: Sequence[Single]) -> str:
    rows = [
        (
            each.name,
            each.server,
            f"{each.value:.3f}",
            each.unit,
            ", ".join(f"{value:.3f}" for value in each.values),
        )
        for each in singles
    ]
    return _table(("what", "whose", "median", "unit", "all runs"), rows)


def _table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [" | ".join(names), " | ".join("---" for _ in names)]
    lines += [" | ".join(map(str, row)) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
