"""How the daemon is at the moment when somebody asks for its metrics."""

from collections.abc import Callable, Iterator, Mapping

import attrs
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from cvmfs_snapshotter.domain.circuit import State
from cvmfs_snapshotter.domain.ports.store import Census
from cvmfs_snapshotter.domain.snapshot import Kind

from .naming import PREFIX


@attrs.frozen
class SourceState:
    """How a source is.

    Attributes:
        name: its name.
        circuit: what its circuit does with requests.
        failures: in a row, up to now.
        suspects: layers that are taken to be at fault themselves.
        held: whether its root is held.
        revision: of the repository when its root was last looked at; None if it is not known.
    """

    name: str
    circuit: State
    failures: int
    suspects: int
    held: bool
    revision: int | None


@attrs.frozen
class DaemonState:
    """How the daemon is.

    Attributes:
        sources: the configured sources.
        census: how many records there are; None if they cannot be read.
        probes: processes that look at sources.
        stuck_probes: those that were killed and have not ended.
        database: bytes of each file of the database, by which it is.
    """

    sources: tuple[SourceState, ...]
    census: Census | None
    probes: int
    stuck_probes: int
    database: Mapping[str, int]


class StateCollector(Collector):
    """Gives gauges of the state. Looking at it waits for the records, never for a source."""

    def __init__(
        self,
        build: Mapping[str, str],
        look: Callable[[], DaemonState],
        registry: CollectorRegistry,
    ) -> None:
        """Register it.

        Args:
            build: labels of the build, version among them.
            look: gives the state.
            registry: gets the metrics.
        """
        self._build = dict(build)
        self._look = look
        registry.register(self)

    def describe(self) -> list[Metric]:
        """Name the metrics without a look at anything; see ``CollectorRegistry.register``."""
        nothing = DaemonState((), None, 0, 0, {})
        return list(_families(self._build, nothing))

    def collect(self) -> Iterator[Metric]:
        """Give the metrics as of now."""
        yield from _families(self._build, self._look())


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)


def _families(build: Mapping[str, str], state: DaemonState) -> Iterator[Metric]:
    yield InfoMetricFamily(f"{PREFIX}_build", "What is running.", dict(build))
    yield from _sources(state)
    probes = _gauge("probes", "Processes that look at sources for requests.")
    probes.add_metric((), state.probes)
    yield probes
    stuck = _gauge(
        "probes_stuck", "Probe processes that were killed and have not ended: the kernel has them."
    )
    stuck.add_metric((), state.stuck_probes)
    yield stuck
    yield from _records(state)


def _sources(state: DaemonState) -> Iterator[Metric]:
    up = _gauge("source_up", "1 while the source is asked for layers, else 0.", "source")
    circuit = _gauge("circuit_state", "1 for the state that the circuit is in.", "source", "state")
    failures = _gauge("source_failures", "Failures in a row, up to now.", "source")
    suspects = _gauge(
        "source_suspects", "Layers that fail while others of the source do not.", "source"
    )
    held = _gauge("source_held", "1 while the root is held, so that it stays mounted.", "source")
    revision = _gauge(
        "source_revision", "Revision of the repository when its root was last looked at.", "source"
    )
    for source in state.sources:
        name = (source.name,)
        up.add_metric(name, source.circuit is State.CLOSED)
        for each in State:
            circuit.add_metric((source.name, each.value), source.circuit is each)
        failures.add_metric(name, source.failures)
        suspects.add_metric(name, source.suspects)
        held.add_metric(name, source.held)
        if source.revision is not None:
            revision.add_metric(name, source.revision)
    yield from (up, circuit, failures, suspects, held, revision)


def _records(state: DaemonState) -> Iterator[Metric]:
    readable = _gauge("records_readable", "1 if the records could be read just now, else 0.")
    readable.add_metric((), state.census is not None)
    yield readable
    snapshots = _gauge(
        "snapshots",
        "Snapshots by kind, and by origin: local ones, or those of a source.",
        *("kind", "origin", "source"),
    )
    tombstones = _gauge(
        "tombstones", "Removed snapshots whose directories wait for the next Cleanup."
    )
    if state.census is not None:
        for (kind, origin, source), count in sorted(_counts(state, state.census).items()):
            snapshots.add_metric((kind, origin, source), count)
        tombstones.add_metric((), state.census.tombstones)
    yield from (snapshots, tombstones)
    size = _gauge("database_size_bytes", "Size of the files of the database.", "file")
    for file, count in state.database.items():
        size.add_metric((file,), count)
    yield size


def _counts(state: DaemonState, census: Census) -> dict[tuple[str, str, str], int]:
    # What there is none of is told too: a graph without a line does not say that.
    counts = {(kind.value, "local", ""): 0 for kind in Kind}
    counts |= {(Kind.COMMITTED.value, "remote", source.name): 0 for source in state.sources}
    for (kind, source), count in census.snapshots.items():
        counts[kind.value, "remote" if source else "local", source] = count
    return counts
