"""What is done at start where nothing can be written, and after a restore; on both stores."""

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.domain.companions import plan
from cvmfs_snapshotter.domain.errors import (
    ResourceExhaustedError,
    SnapshotterError,
    UnavailableError,
)
from cvmfs_snapshotter.domain.events import UpkeepPutOff
from cvmfs_snapshotter.domain.usecases import upkeep
from cvmfs_snapshotter.domain.usecases.restored import disown

from .bench import Bench, in_memory, on_disk
from .snapshotter_contract import BLOB_1, DIFF_1, WITH_WHITEOUT, provided


@pytest.fixture(params=["memory", "disk"])
def bench(request: pytest.FixtureRequest, new_database: Callable[[Path], Path]) -> Iterator[Bench]:
    """Give a snapshotter."""
    with in_memory() if request.param == "memory" else on_disk(new_database) as made:
        yield made


@attrs.define
class Stuck:
    """Makes every write fail until it is told otherwise."""

    error: SnapshotterError
    plain: Callable[..., object]
    on: bool = True

    def write(self, *arguments: object, **more: object) -> object:
        """Write, or fail."""
        if self.on:
            raise self.error
        return self.plain(*arguments, **more)


@pytest.fixture(params=[ResourceExhaustedError("full"), UnavailableError("held")])
def stuck(request: pytest.FixtureRequest, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Stuck:
    """Give what makes writes fail; it does not yet."""
    stuck = Stuck(request.param, bench.store.write, on=False)
    monkeypatch.setattr(bench.store, "write", stuck.write)
    return stuck


def put_off(bench: Bench) -> list[str]:
    """Tell what was put off."""
    return [event.what for event in bench.events.recorded if isinstance(event, UpkeepPutOff)]


def test_what_a_crash_left_waits(bench: Bench, stuck: Stuck) -> None:
    """Only a daemon that serves can free anything, so that it starts; the next start does it."""
    left = bench.store.new_identifier()
    bench.context.directories.create_empty(left)
    stuck.on = True
    upkeep.adopt_orphans(bench.context)

    assert ["recording what a crash left"] == put_off(bench)
    stuck.on = False
    bench.snapshotter.cleanup()
    assert [left] == sorted(bench.context.directories.present())
    upkeep.adopt_orphans(bench.context)
    bench.snapshotter.cleanup()
    assert [] == sorted(bench.context.directories.present())


def test_strangers_do_not_wait(bench: Bench, stuck: Stuck) -> None:
    """Their numbers would be given to others, so that nothing is served before."""
    bench.context.directories.create_empty(10**6)
    stuck.on = True
    with pytest.raises(type(stuck.error)):
        upkeep.adopt_orphans(bench.context)
    stuck.on = False
    upkeep.adopt_orphans(bench.context)

    assert bench.store.new_identifier() > 10**6


def test_a_start_without_anything_to_record(bench: Bench, stuck: Stuck) -> None:
    """It writes nothing at all."""
    bench.snapshotter.prepare("key", "", {})
    stuck.on = True
    upkeep.adopt_orphans(bench.context)
    upkeep.discard_unrecorded_companions(bench.context)

    assert [] == put_off(bench)


def test_a_source_is_followed_later(bench: Bench, stuck: Stuck) -> None:
    """A path that cannot be recorded is followed by the next start."""
    upkeep.follow_sources(bench.context, {"unpacked": "/before"})
    stuck.on = True
    upkeep.follow_sources(bench.context, {"unpacked": "/after"})
    assert ["following source 'unpacked'"] == put_off(bench)
    assert {"unpacked": "/before"} == bench.store.read(lambda r: r.source_paths())

    stuck.on = False
    upkeep.follow_sources(bench.context, {"unpacked": "/after"})
    assert {"unpacked": "/after"} == bench.store.read(lambda r: r.source_paths())


def test_records_of_an_earlier_time(bench: Bench) -> None:
    """What they do not know stays for good, but for what newer ones knew to be removed."""
    provided(bench, DIFF_1, BLOB_1)
    bench.snapshotter.prepare("known", "", {})
    known = sorted(bench.context.directories.present())
    unknown, removed, companion = (bench.store.new_identifier() for _ in range(3))
    for identifier in (unknown, removed):
        bench.context.directories.create_empty(identifier)
    bench.context.companions.build(companion, plan(WITH_WHITEOUT))
    context = bench.context
    left_alone = disown(
        context.store,
        context.directories,
        context.companions,
        buried=[*known, removed],
        given=5000,
    )

    assert 2 == left_alone
    for _ in range(2):
        upkeep.adopt_orphans(context)
        upkeep.discard_unrecorded_companions(context)
        bench.snapshotter.cleanup()
        assert [*known, unknown] == sorted(context.directories.present())
        assert [companion] == list(context.companions.present())
        assert context.store.new_identifier() > 5000
