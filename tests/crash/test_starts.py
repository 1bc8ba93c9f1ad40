"""A core dies before and after every step of its start; the next one starts all the same."""

import sqlite3
from contextlib import closing
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.sqlite import migrate
from tests.sqlite.test_migrate import scripts_with

from .child import run_in_child
from .core import Place, opened
from .operations import Make, Operation, Pull
from .trial import Bench, copied, die_everywhere
from .world import State


def test_every_step_of_a_start(bench: Bench, prepared: tuple[Place, State]) -> None:
    """What crashes have left is tidied up, also if that is interrupted."""
    place, state = prepared
    place = copied(place, "leftovers")
    left: list[tuple[Operation, int]] = [
        (Make("k"), 18),
        (Make("k"), 12),
        (Pull("k", 2), 40),
        (Pull("k", 2), 80),
    ]
    for operation, moment in left:
        # Each on the other's leftovers would tidy them up: they are gathered from copies.
        trial = copied(prepared[0], "trial")
        assert run_in_child(trial, [(operation,)], state, moment).died
        gather(trial, place)
    (place.root / "l" / ".new-left").symlink_to("nowhere")
    with closing(sqlite3.connect(place.database, isolation_level=None)) as database:
        # As it is in the databases of the copies.
        database.execute("UPDATE identifiers SET next = 1000")

    assert 40 < die_everywhere(bench, place, [], state, "trial")


def gather(source: Place, target: Place) -> None:
    """Add what lies in one state directory, and not in another, to that one."""
    for name in ("snapshots", "companions", "l"):
        for path in (source.root / name).iterdir():
            there = target.root / name / path.name
            if not there.is_symlink() and not there.exists():
                path.rename(there)


def test_every_step_of_a_start_after_a_source_moved(
    bench: Bench, prepared: tuple[Place, State]
) -> None:
    """All links lead to the new path, whichever had been changed before."""
    place, state = prepared
    place = copied(bench.with_links(place), "linked")
    with opened(place) as core:
        core.snapshotter.mounts("container")
    assert any(path.name.isdecimal() for path in (place.root / "l").iterdir())
    moved = bench.directory / "moved"
    moved.symlink_to(bench.repository)
    place = attrs.evolve(place, host_path=str(moved))

    assert 8 < die_everywhere(bench, place, [], state, "trial")


def test_every_step_of_the_first_start(bench: Bench) -> None:
    """A database that is half made is made anew."""
    place = bench.place("first")
    place.root.mkdir(parents=True, mode=0o700)

    assert 60 < die_everywhere(bench, place, [], {}, "trial")


def test_every_step_of_an_upgrade(
    bench: Bench, prepared: tuple[Place, State], tmp_path: Path
) -> None:
    """The schema is the old or the new one, never between, and no backup is half made."""
    place, state = prepared
    place = attrs.evolve(
        place, scripts=scripts_with(tmp_path), revisions=(*migrate.REVISIONS, "9000")
    )
    assert 20 < die_everywhere(bench, place, [], state, "trial")

    with opened(copied(place, "trial")):
        pass
    (backup,) = (bench.directory / "trial" / "root" / "backups").iterdir()
    assert ".bak" == backup.suffix
