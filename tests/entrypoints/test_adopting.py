"""Other settings for sources that are looked after already."""

import attrs
import pytest
import structlog

from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.adapters.memory import MemoryClock, MemoryEvents
from cvmfs_snapshotter.adapters.probes import ProbePool
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.policy import Policy, Whiteouts
from cvmfs_snapshotter.entrypoints.compose_sources import Tended, tend
from tests.entrypoints.test_warming import ABSENT, Prober

ONE = SourceSettings("one", SourceKind.DIRECTORY, "", "/one")
TWO = SourceSettings("two", SourceKind.DIRECTORY, "", "/two")
LAYER = Layer("one", Digest("a" * 64))


def _tended(*settings: SourceSettings) -> Tended:
    """Give what looks after sources; nothing of it runs."""
    pool = ProbePool(("false",))
    return tend(settings, pool, MemoryClock(), MemoryEvents(), structlog.get_logger())


def test_policies_and_deadlines() -> None:
    """Requests see other policies and deadlines of their source at once."""
    tended = _tended(ONE, TWO)
    policy = Policy(Whiteouts.REFUSE)
    tended.adopt([attrs.evolve(ONE, lookup_deadline=9.0, policy=policy), TWO])

    assert policy == tended.sources.policy("one")
    assert Policy() == tended.sources.policy("two")
    assert 9.0 == tended.sources.patience


def test_how_long_a_source_is_asked() -> None:
    """A look-up gets the new deadline; a source that is not known is passed over."""
    prober, clock = Prober({"/one": ABSENT}), MemoryClock()
    prober.may_answer.set()
    sources = Sources([ONE], prober, clock)
    sources.adopt([TWO, attrs.evolve(ONE, lookup_deadline=0.5)])

    sources.look(LAYER, clock.monotonic() + 100.0)
    assert [("/one", 0.5)] == prober.asked
    assert ("one",) == sources.names


def test_what_is_slow_follows() -> None:
    """Circuits and trials reckon with the new deadline too."""
    tended = _tended(ONE)
    guard, tender = tended.sources, tended.tenders["one"]
    tended.adopt([attrs.evolve(ONE, lookup_deadline=9.0)])

    assert 9.0 == guard._limits["one"]
    assert 9.0 == tender._trier._limits["one"]


@pytest.mark.parametrize("keep", [True, False])
def test_keeping_it_mounted(*, keep: bool) -> None:
    """A source is held, or let go, when that is configured anew."""
    tended = _tended(attrs.evolve(ONE, keep_mounted=not keep))
    tended.adopt([attrs.evolve(ONE, keep_mounted=keep)])

    assert keep == tended.tenders["one"].holder.wanted


def test_released_by_hand() -> None:
    """What was released by hand stays so when something else changes."""
    tended = _tended(ONE)
    tended.tenders["one"].release()
    tended.adopt([attrs.evolve(ONE, lookup_deadline=9.0)])

    assert not tended.tenders["one"].holder.wanted
