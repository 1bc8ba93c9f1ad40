"""A daemon in memory whose overview can be asked for."""

from collections.abc import Mapping

import structlog
from structlog.testing import LogCapture

from cvmfs_snapshotter.adapters.circuits import Breakers, GuardedSources, Trier
from cvmfs_snapshotter.adapters.layers.holder import Holder
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.memory import (
    MemoryClock,
    MemoryEvents,
    MemorySources,
    MemoryStore,
)
from cvmfs_snapshotter.adapters.probes import ProbePool
from cvmfs_snapshotter.domain.layer import Digest, Layer, Reason
from cvmfs_snapshotter.entrypoints.compose_sources import Tended
from cvmfs_snapshotter.entrypoints.disk import Disk
from cvmfs_snapshotter.entrypoints.overview import Overseer
from cvmfs_snapshotter.entrypoints.tending import Tender

STARTED = 1_700_000_000_123_456_789
UNPACKED = SourceSettings(
    "unpacked", "cvmfs", "unpacked.cern.ch", "/cvmfs/unpacked.cern.ch", "/host/unpacked"
)
NFS = SourceSettings("nfs", "directory", "", "/nfs", keep_mounted=False)


class Keeper:
    """A process that holds at once, and may hang when it should end."""

    def __init__(self) -> None:
        self.closed = False
        self.stuck = False

    def ask(self, request: Mapping[str, object], seconds: float) -> Mapping[str, object]:
        """See ``Keeper.ask``."""
        return {"proven": True, "revision": 4711}

    def count(self) -> tuple[int, int]:
        """See ``Keeper.count``."""
        return int(not self.closed), int(self.closed and self.stuck)

    def close(self, seconds: float = 2.0) -> None:
        """See ``Keeper.close``."""
        self.closed = True


class Overseen:
    """Two sources in memory, records in memory, and who knows all of it."""

    def __init__(self) -> None:
        self.clock = MemoryClock(seconds=100.0)
        self.store = MemoryStore()
        self.inner = MemorySources(["unpacked", "nfs"])
        self.keeper = Keeper()
        self.disk = Disk(163_840, 41_200_000_000, 100_000_000_000)
        names = ["unpacked", "nfs"]
        limits = dict.fromkeys(names, 5.0)
        self.breakers = Breakers(names, self.clock, MemoryEvents(), lambda: 0.0)
        guarded = GuardedSources(self.inner, self.breakers, limits, self.clock)
        trier = Trier(self.breakers, dict.fromkeys(names, self.inner), limits, self.clock)
        logger = structlog.wrap_logger(None, processors=[LogCapture()])
        tenders = {
            one.name: Tender(
                one.name,
                self.breakers,
                trier,
                Holder(one, lambda: self.keeper),
                self.clock,
                logger,
            )
            for one in (UNPACKED, NFS)
        }
        self.tended = Tended(guarded, self.breakers, tenders, {})
        self.overseer = Overseer(
            "/root",
            (UNPACKED, NFS),
            self.store,
            self.tended,
            ProbePool(["false"]),
            STARTED,
            lambda _: self.disk,
        )

    def fail(self, source: str, times: int = 2, reason: Reason = Reason.SLOW) -> None:
        """Let look-ups on a source fail."""
        self.inner.faults[source] = reason
        layer = Layer(source, Digest("a" * 64))
        for _ in range(times):
            self.tended.sources.look(layer, self.clock.monotonic() + 5.0)
