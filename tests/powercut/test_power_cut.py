"""A fresh core opens each disk that a power cut may leave, and knows all that was answered.

Of the directories nothing is on these disks, as if no name in them had been synced; companions
are, for the daemon syncs them before it records them.
"""

import os
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.adapters.sqlite import SqliteStore
from cvmfs_snapshotter.domain.errors import FailedPreconditionError
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from tests.crash.checker import model_names
from tests.crash.core import Core, Place, opened, started
from tests.crash.operations import (
    Cleanup,
    Commit,
    Make,
    Measure,
    Operation,
    Pull,
    Remove,
    Update,
)
from tests.crash.trial import Bench
from tests.crash.world import DELETING, PLAIN, Entry, State, number_of

from .disk import Cut, cuts
from .recording import Answer, Recording, recorded

LONG = os.environ.get("CVMFS_SNAPSHOTTER_LONG") == "1"
TORN = 40 if LONG else 3
NAME = "metadata.sqlite"

WORKLOAD: Sequence[Operation] = (
    Make("a"),
    Commit("base", "a"),
    Pull("p", 0),
    Make("over local", "base"),
    Pull("p", 1),
    Measure(),
    Make("over remote", PLAIN),
    Make("over companion", DELETING),
    Make("alone"),
    Make("nothing", kind=Kind.VIEW),
    Make("seen", PLAIN, kind=Kind.VIEW),
    Make("seen local", "base", kind=Kind.VIEW),
    Update("base", "1"),
    Update(PLAIN, "2"),
    Make("mapped", "base", mapped=True),
    Remove("mapped"),
    Make("b", "base"),
    Commit("top", "b"),
    Pull("p", 2, "top"),
    Remove("over local"),
    Cleanup(),
    Make("last", "top"),
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Publish the layers."""
    return Bench.make(tmp_path_factory.mktemp("powercut"))


def choices() -> random.Random:
    """Make what chooses alike on every run."""
    return random.Random(0)  # noqa: S311 - nothing is kept secret


def test_a_workload(bench: Bench) -> None:
    """Records are those after the last answer, or after the call that was being carried out."""
    place = bench.place("workload")
    with opened(place):
        pass
    states: list[State] = [{}]
    first = files_of(place)
    with recorded(place.root) as recording, started(place) as core:
        often_checkpointed(core)
        for operation in WORKLOAD:
            expected, after = operation.apply(states[-1])
            assert expected == operation.answer(core, states[-1])
            states.append(after)
            recording.add(Answer(len(states) - 1))
        recording.stop()

    tried = 0
    for cut in cuts_from(first, recording, TORN):
        heard = len(cut.heard)
        there = restored(place, bench.place("cut"), cut)
        with opened(there) as core:
            found = records_of(core)
            possible = [plain(state) for state in states[heard : heard + 2]]
            assert found in possible, cut.how
            check_mounts(core, there)
        tried += 1
    assert 200 < tried


def test_callers_that_share_a_sync(bench: Bench) -> None:
    """An answer is given to none of them before the sync that all of them wait for."""
    place = bench.place("shared")
    with opened(place):
        pass
    first = files_of(place)
    with recorded(place.root) as recording, started(place) as core:
        often_checkpointed(core)

        def call(caller: int) -> None:
            for number in range(8):
                key = f"{caller} {number}"
                core.snapshotter.prepare(key, "", {})
                recording.add(Answer(key))

        threads = [threading.Thread(target=call, args=(caller,)) for caller in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        recording.stop()

    for cut in cuts_from(first, recording, 1):
        with opened(restored(place, bench.place("cut"), cut)) as core:
            names = {record.name for record in core.records()}
            assert {*cut.heard} <= names, cut.how
            highest = max((record.identifier for record in core.records()), default=0)
            assert highest < core.context.store.new_identifier()


def test_the_first_start(bench: Bench) -> None:
    """A database that was being made is whole, or is made anew."""
    place = bench.place("first start")
    place.root.mkdir(parents=True, mode=0o700)
    with recorded(place.root) as recording, started(place):
        recording.stop()

    for cut in cuts({}, recording.events, choices(), TORN):
        with opened(restored(place, bench.place("cut"), cut)) as core:
            assert [] == core.records(), cut.how


def often_checkpointed(core: Core) -> None:
    """Have the WAL written back often: those are syncs and writes that matter too."""
    assert isinstance(core.context.store, SqliteStore)
    core.context.store._writer.connection.execute("PRAGMA wal_autocheckpoint=12")


def files_of(place: Place) -> dict[str, bytes]:
    """Read the database."""
    return {path.name: path.read_bytes() for path in place.root.glob(f"{NAME}*")}


def cuts_from(first: dict[str, bytes], recording: Recording, torn: int) -> Iterator[Cut]:
    """Give the disks of a recording that began with these files."""
    return cuts(first, recording.events, choices(), torn)


def restored(original: Place, place: Place, cut: Cut) -> Place:
    """Make a state directory of what a power cut has left."""
    shutil.rmtree(place.root, ignore_errors=True)
    place.root.mkdir(parents=True, mode=0o700)
    for name, content in cut.files.items():
        (place.root / name).write_bytes(content)
    if (original.root / "companions").exists():
        subprocess.run(
            ["cp", "--archive", original.root / "companions", place.root / "companions"],
            check=True,
        )
        (place.root / "l").mkdir(mode=0o700)
        for link in (original.root / "l").iterdir():
            if link.name[-1] in "ab":
                (place.root / "l" / link.name).symlink_to(link.readlink())
    return place


def plain(state: State) -> dict[str, Entry]:
    """Leave out what lies in files."""
    return {name: attrs.evolve(entry, payload="", owner=(0, 0)) for name, entry in state.items()}


def records_of(core: Core) -> dict[str, Entry]:
    """Read records alone, as the model would have them."""
    records = core.records()
    names = model_names(records)
    return {
        names[record.identifier]: Entry(
            record.kind,
            names[record.parent_identifier],
            record.labels,
            layer=number_of(record.layer.digest) if record.layer else None,
        )
        for record in records
    }


def check_mounts(core: Core, place: Place) -> None:
    """Check that what held nothing is back, and that nothing stands on files that are lost."""
    records = {record.identifier: record for record in core.records()}

    def chain(record: Snapshot) -> Iterator[Snapshot]:
        while record.parent_identifier:
            record = records[record.parent_identifier]
            yield record

    for record in records.values():
        if record.kind is Kind.COMMITTED:
            continue
        if all(below.remote for below in chain(record)):
            (mount,) = core.snapshotter.mounts(record.name)
            for path in paths_in(mount.source, mount.options):
                assert path.is_dir(), path
        else:
            with pytest.raises(FailedPreconditionError, match="are gone"):
                core.snapshotter.mounts(record.name)
            with pytest.raises(FailedPreconditionError, match="are gone"):
                core.snapshotter.prepare("new", record.parent, {})


def paths_in(source: str, options: Sequence[str]) -> Iterator[Path]:
    """Give every directory that a mount names."""
    if source.startswith("/"):
        yield Path(source)
    for option in options:
        name, _, value = option.partition("=")
        if name in {"upperdir", "workdir", "lowerdir"}:
            yield from map(Path, value.split(":"))
