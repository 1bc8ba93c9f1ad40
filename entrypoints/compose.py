"""The composition root: which adapter is behind which port."""

from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters import kernel
from cvmfs_snapshotter.adapters.clock import SystemClock
from cvmfs_snapshotter.adapters.companions import DiskCompanions
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.adapters.logs.events import LogEvents
from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.adapters.patterns import Re2Patterns
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.adapters.sqlite import SqliteStore
from cvmfs_snapshotter.domain.mounts import Layout
from cvmfs_snapshotter.domain.usecases import upkeep
from cvmfs_snapshotter.domain.usecases.context import Context
from cvmfs_snapshotter.domain.usecases.snapshotter import LayerSnapshotter

from .config import Config
from .fanout import FanOut, WakeOnCommit
from .measuring import Measurer
from .rpc.server import THREADS

WAITING_CALLS = THREADS * 3 // 4
"""Calls that may wait for a source; the other threads are left for those that never do."""


@attrs.frozen
class Parts:
    """A whole daemon, its server apart.

    Attributes:
        snapshotter: does what containerd asks.
        context: the ports behind it.
        measurer: measures in the background.
        sources: the sources.
        probes: the processes that look at them.
    """

    snapshotter: LayerSnapshotter
    context: Context
    measurer: Measurer
    sources: Sources
    probes: ProbePool


def compose(root: str, config: Config, store: SqliteStore, logger: Logger) -> Parts:
    """Put a daemon together; nothing runs yet.

    Args:
        root: the state directory, which is ours.
        config: the configuration.
        store: its records.
        logger: takes lines.

    Returns:
        The parts.
    """
    clock = SystemClock()
    probes = ProbePool(worker_command(WORKER_MODULE), callers=WAITING_CALLS)
    layers = Sources(config.sources, probes, clock, warn=logger.warning)
    # Whoever records a commit wakes the measurer, which needs the context to measure.
    measurer = Measurer(lambda limit: upkeep.measure_some(context, limit), logger)
    context = Context(
        store=store,
        directories=DiskDirectories(root),
        companions=DiskCompanions(Path(root), kernel.opaque_attribute()),
        sources=layers,
        clock=clock,
        events=FanOut((LogEvents(logger), WakeOnCommit(measurer.wake))),
        patterns=Re2Patterns(),
        layout=Layout(root, kernel.overlay_options()),
        staged=config.staged,
    )
    return Parts(LayerSnapshotter(context), context, measurer, layers, probes)
