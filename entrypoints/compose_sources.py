"""The part of the composition that is about sources: circuits, trials and keeping them mounted."""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from cvmfs_snapshotter.adapters.circuits import Breakers, GuardedSources, Trier
from cvmfs_snapshotter.adapters.layers.holder import Holder
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.domain.ports.clock import Clock
from cvmfs_snapshotter.domain.ports.events import Events
from cvmfs_snapshotter.domain.ports.layers import LayerSources

from .tending import Tender


@attrs.frozen
class Tended:
    """The sources, and what looks after them.

    Attributes:
        sources: the sources behind their circuits.
        breakers: the circuits.
        tenders: by name of source, what looks after it.
        trials: by name of source, the processes that try it.
        settings: by name of source, what is configured about it.
        _asking: all that ask the sources.
        _limits: by name of source, the seconds that a look-up may take; those of all parts.
    """

    sources: GuardedSources
    breakers: Breakers
    tenders: Mapping[str, Tender]
    trials: Mapping[str, ProbePool]
    settings: dict[str, SourceSettings] = attrs.field(factory=dict)
    _asking: Sequence[Sources] = ()
    _limits: dict[str, float] = attrs.field(factory=dict)

    @property
    def stuck(self) -> int:
        """How many processes hang that look after sources."""
        holding = sum(tender.holder.stuck for tender in self.tenders.values())
        return holding + sum(pool.count()[1] for pool in self.trials.values())

    def adopt(self, settings: Sequence[SourceSettings]) -> None:
        """Take other deadlines, policies and ``keep_mounted`` of the same sources.

        What was held or released by hand stays so unless its ``keep_mounted`` differs.

        Args:
            settings: of all sources.
        """
        for asking in self._asking:
            asking.adopt(settings)
        for source in settings:
            self._limits[source.name] = source.lookup_deadline
            before, self.settings[source.name] = self.settings[source.name], source
            if before.keep_mounted and not source.keep_mounted:
                self.tenders[source.name].release()
            elif source.keep_mounted and not before.keep_mounted:
                self.tenders[source.name].hold()

    @property
    def plain(self) -> LayerSources:
        """The sources without their circuits, for whoever starts no tender."""
        return self._asking[0]

    def start(self) -> None:
        """Begin to look after the sources."""
        for tender in self.tenders.values():
            tender.start()

    def stop(self, seconds: float) -> None:
        """End that, and all processes of it.

        Args:
            seconds: how long to wait for all of it at most. What hangs then is left to the kernel.
        """
        until = time.monotonic() + seconds
        # Whoever waits for a trial hears that there is no answer.
        for pool in self.trials.values():
            pool.close(0.0)
        for tender in self.tenders.values():
            tender.stop(max(until - time.monotonic(), 0.0))
        for pool in self.trials.values():
            pool.close(max(until - time.monotonic(), 0.0))


def tend(  # noqa: PLR0913, PLR0917 - all that sources need
    settings: Sequence[SourceSettings],
    probes: ProbePool,
    clock: Clock,
    events: Events,
    logger: Logger,
    watched: Iterable[Callable[[LayerSources], LayerSources]] = (),
) -> Tended:
    """Put together what is about sources; nothing runs yet.

    Args:
        settings: the configured sources.
        probes: the processes that look at them for requests.
        clock: gives the time.
        events: hears of circuits.
        logger: takes lines.
        watched: each gives sources that are timed or traced in place of those that requests ask.

    Returns:
        The parts.
    """
    names = [source.name for source in settings]
    limits = {source.name: source.lookup_deadline for source in settings}
    asked = Sources(settings, probes, clock, warn=logger.warning)
    seen: LayerSources = asked
    for watch in watched:
        seen = watch(seen)
    breakers = Breakers(names, clock, events, random.random)
    # Processes of their own: trials of a source that hangs must not use up those of requests.
    trials = {name: _few() for name in names}
    trying = {source.name: Sources([source], trials[source.name], clock) for source in settings}
    trier = Trier(breakers, trying, limits, clock)
    tenders = {
        source.name: Tender(source.name, breakers, trier, Holder(source, _few), clock, logger)
        for source in settings
    }
    guarded = GuardedSources(seen, breakers, limits, clock)
    return Tended(
        guarded,
        breakers,
        tenders,
        trials,
        {source.name: source for source in settings},
        (asked, *trying.values()),
        limits,
    )


def _few() -> ProbePool:
    return ProbePool(worker_command(WORKER_MODULE), workers=1, lost=2, callers=2)
