"""Metrics, put together; imported only where they are configured."""

import errno
import platform
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from prometheus_client import ProcessCollector

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.adapters.metrics.address import Address
from cvmfs_snapshotter.adapters.metrics.calls import CallMeter
from cvmfs_snapshotter.adapters.metrics.events import MetricEvents
from cvmfs_snapshotter.adapters.metrics.naming import new_registry
from cvmfs_snapshotter.adapters.metrics.pages import Pages, Readiness
from cvmfs_snapshotter.adapters.metrics.server import MetricsServer
from cvmfs_snapshotter.adapters.metrics.sources import TimedSources
from cvmfs_snapshotter.adapters.metrics.spans import SpanCollector
from cvmfs_snapshotter.adapters.metrics.state import DaemonState, SourceState, StateCollector
from cvmfs_snapshotter.adapters.metrics.store import TimedStore
from cvmfs_snapshotter.domain.ports.layers import LayerSources
from cvmfs_snapshotter.domain.ports.store import Store
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2

from .endpoint import claim_address, plain_address
from .errors import StartError
from .locks import Lock
from .overview import Overseer

_DATABASE_FILES = {"database": "", "wal": "-wal", "wal-index": "-shm"}


class Metering:
    """What counts and times a daemon, and serves the result.

    Attributes:
        serving: whether calls are taken, as ``/readyz`` tells.
    """

    def __init__(self, address: Address, sources: Sequence[str], logger: Logger) -> None:
        """Make the counters; nothing is served yet.

        Args:
            address: where to serve.
            sources: names of the configured sources.
            logger: takes what fails.
        """
        self.serving = False
        self._address = address
        self._logger = logger
        self._registry = new_registry()
        ProcessCollector(registry=self._registry)
        self.events = MetricEvents(self._registry, sources)
        self.calls = CallMeter(self._registry, _paths())
        self._server: MetricsServer | None = None
        self._lock: Lock | None = None

    def timed_store(self, store: Store) -> Store:
        """Give a store whose time is taken."""
        return TimedStore(store, self._registry)

    def timed_sources(self, sources: LayerSources) -> LayerSources:
        """Give sources whose time is taken."""
        return TimedSources(sources, self._registry)

    def count_spans(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Tell what becomes of spans too.

        Args:
            counts: gives how many had which fate.
        """
        SpanCollector(counts, self._registry)

    def start(self, overseer: Overseer, database: str) -> None:
        """Begin to serve.

        Args:
            overseer: knows how the daemon is.
            database: path of the database.
        """
        build = {"version": __version__, "python": platform.python_version()}
        StateCollector(build, lambda: _state(overseer, database), self._registry)
        pages = Pages(self._registry, lambda: self._readiness(overseer))
        self._server = MetricsServer(self._address, pages, self._failed, listen=self._listen)
        if self._address.exposed:
            self._logger.warning(
                "metrics can be read from other machines: they are not encrypted and ask for no "
                "password",
                address=str(self._address),
            )
        self._server.start()

    def stop(self, seconds: float) -> None:
        """End that.

        Args:
            seconds: how long to wait for it at most.
        """
        if self._server is not None:
            self._server.stop(seconds)
        if self._lock is not None:
            self._lock.release()

    def _listen(self, backlog: int) -> socket.socket:
        if self._address.path and self._lock is None:
            try:
                self._lock = claim_address(plain_address(self._address.path))
            except StartError as error:
                # containerd is served all the same, and the address tried again.
                raise OSError(errno.EADDRNOTAVAIL, str(error)) from error
        return self._address.listen(backlog)

    def _failed(self, what: str, error: Exception) -> None:
        cause = error.strerror if isinstance(error, OSError) else None
        if cause is None:
            self._logger.error(what, exc_info=error)
        else:
            self._logger.error(what, cause=cause)

    def _readiness(self, overseer: Overseer) -> Readiness:
        sources = {name: overseer.up(name) for name in overseer.sources}
        return Readiness(self.serving, overseer.records_readable(), sources)


def _paths() -> Iterator[str]:
    service = snapshots_pb2.DESCRIPTOR.services_by_name["Snapshots"]
    return (f"/{service.full_name}/{method.name}" for method in service.methods)


def _state(overseer: Overseer, database: str) -> DaemonState:
    probes, stuck = overseer.processes()
    return DaemonState(
        sources=tuple(_source(overseer, name) for name in overseer.sources),
        census=overseer.census(),
        probes=probes,
        stuck_probes=stuck,
        database=_sizes(database),
    )


def _source(overseer: Overseer, name: str) -> SourceState:
    found = overseer.source(name)
    circuit = found.standing.circuit
    return SourceState(
        name=name,
        circuit=circuit.state,
        failures=circuit.failures,
        suspects=len(circuit.suspects),
        held=found.held,
        revision=found.revision,
    )


def _sizes(database: str) -> Mapping[str, int]:
    sizes: dict[str, int] = {}
    for file, suffix in _DATABASE_FILES.items():
        try:
            sizes[file] = Path(database + suffix).stat().st_size
        except OSError:
            # The WAL is not there before the first write.
            sizes[file] = 0
    return sizes
