"""The table of metrics in the documentation says what the code says."""

import re
from collections.abc import Iterator

from prometheus_client import Metric

from cvmfs_snapshotter.adapters.memory import MemorySources, MemoryStore
from cvmfs_snapshotter.adapters.metrics.calls import CallMeter
from cvmfs_snapshotter.adapters.metrics.events import MetricEvents
from cvmfs_snapshotter.adapters.metrics.naming import new_registry
from cvmfs_snapshotter.adapters.metrics.sources import TimedSources
from cvmfs_snapshotter.adapters.metrics.spans import SpanCollector
from cvmfs_snapshotter.adapters.metrics.state import DaemonState, SourceState, StateCollector
from cvmfs_snapshotter.adapters.metrics.store import TimedStore
from cvmfs_snapshotter.domain.circuit import State
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.ports.store import Census
from tests.harness.parts import ROOT

SUFFIX = {"counter": "_total", "info": "_info"}


def _families() -> Iterator[Metric]:
    """Give every metric, with a sample."""
    registry = new_registry()
    MetricEvents(registry, ["one"])
    CallMeter(registry, ["/a/b"])
    TimedStore(MemoryStore(), registry)
    TimedSources(MemorySources(["one"]), registry).look(Layer("one", Digest("a" * 64)), 1.0)
    source = SourceState("one", State.CLOSED, 0, 0, held=True, revision=7)
    state = DaemonState((source,), Census({}, 0), 1, 0, {"database": 1})
    StateCollector({"version": "1", "python": "3"}, lambda: state, registry)
    SpanCollector(lambda: {"sent": 1}, registry)
    yield from registry.collect()


def _row(family: Metric) -> str:
    """Give the row of a metric."""
    labels = {label for sample in family.samples for label in sample.labels} - {"le"}
    name = f"{family.name}{SUFFIX.get(family.type, '')}"
    shown = ", ".join(f"`{label}`" for label in sorted(labels))
    return f"| `{name}` | {family.type} | {shown} | {family.documentation} |"


def test_the_table() -> None:
    """Each metric has its row, and each row its metric."""
    text = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `cvmfs_snapshotter_.*\|$", text, re.MULTILINE)

    expected = [_row(family) for family in _families()]
    assert expected == rows, "\n".join(expected)
    assert len(rows) > 25
