"""The composition root: which adapter is behind which port."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from cvmfs_snapshotter.adapters import kernel
from cvmfs_snapshotter.adapters.clock import SystemClock
from cvmfs_snapshotter.adapters.companions import DiskCompanions
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.logs.events import LogEvents
from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.adapters.patterns import Re2Patterns
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.adapters.sqlite import SqliteStore
from cvmfs_snapshotter.domain.mounts import Layout
from cvmfs_snapshotter.domain.ports.layers import LayerSources
from cvmfs_snapshotter.domain.ports.store import Store
from cvmfs_snapshotter.domain.usecases import upkeep
from cvmfs_snapshotter.domain.usecases.context import Context
from cvmfs_snapshotter.domain.usecases.snapshotter import LayerSnapshotter

from .compose_sources import Tended, tend
from .config import Config
from .fanout import FanOut, WakeOnCommit, WakeOnOpening
from .measuring import Measurer
from .rpc.server import THREADS
from .rpc.serving import step_aside
from .wishing import Wishing

if TYPE_CHECKING:
    # Where neither metrics nor tracing are configured, nothing of them is imported.
    from .metering import Metering
    from .tracing import Tracing

WAITING_CALLS = THREADS * 3 // 4
"""Calls that may wait for a source; the other threads are left for those that never do."""


@attrs.frozen
class Parts:
    """A whole daemon, its server apart.

    Attributes:
        snapshotter: does what containerd asks.
        context: the ports behind it.
        measurer: measures in the background.
        wishing: remembers what was missed, in the background.
        tended: the sources, and what looks after them.
        probes: the processes that look at them for requests.
    """

    snapshotter: LayerSnapshotter
    context: Context
    measurer: Measurer
    wishing: Wishing
    tended: Tended
    probes: ProbePool


def compose(  # noqa: PLR0913, PLR0917 - all that a daemon is made of
    root: str,
    config: Config,
    store: SqliteStore,
    logger: Logger,
    metering: "Metering | None" = None,
    tracing: "Tracing | None" = None,
) -> Parts:
    """Put a daemon together; nothing runs yet.

    Args:
        root: the state directory, which is ours.
        config: the configuration.
        store: its records.
        logger: takes lines.
        metering: counts and times, if that is wanted.
        tracing: makes spans, if that is wanted.

    Returns:
        The parts.
    """
    clock = SystemClock()
    probes = ProbePool(
        worker_command(WORKER_MODULE), callers=WAITING_CALLS, before_waiting=step_aside
    )
    # Whoever records a commit wakes the measurer, which needs the context to measure. It is alike
    # with a circuit that opens, and what looks after its source.
    measurer = Measurer(lambda limit: upkeep.measure_some(context, limit), logger)
    wishing = Wishing(store, clock, logger)
    events = FanOut(
        (
            LogEvents(logger),
            WakeOnCommit(measurer.wake),
            WakeOnOpening(lambda source: tended.tenders[source].wake()),
            wishing,
            *(() if metering is None else (metering.events,)),
            *(() if tracing is None else (tracing.events,)),
        )
    )
    records: Store = store
    watched: list[Callable[[LayerSources], LayerSources]] = []
    if metering is not None:
        records = metering.timed_store(records)
        watched.append(metering.timed_sources)
    if tracing is not None:
        records = tracing.traced_store(records)
        watched.append(tracing.traced_sources)
    tended = tend(config.sources, probes, clock, events, logger, watched)
    context = Context(
        store=records,
        directories=DiskDirectories(root),
        companions=DiskCompanions(Path(root), kernel.opaque_attribute()),
        sources=tended.sources,
        clock=clock,
        events=events,
        patterns=Re2Patterns(),
        layout=Layout(root, kernel.overlay_options()),
        staged=config.staged,
    )
    return Parts(LayerSnapshotter(context), context, measurer, wishing, tended, probes)
