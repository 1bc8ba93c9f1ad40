"""A core dies before and after every step of every operation; nothing answered is lost."""

import shutil

import attrs
import pytest

from cvmfs_snapshotter.domain.snapshot import Kind

from .checker import check_service, check_start
from .child import run_in_child
from .core import Place, opened
from .operations import (
    Cleanup,
    Commit,
    Make,
    Measure,
    Mounts,
    Operation,
    Pull,
    Remove,
    Update,
    carry_out,
)
from .trial import Bench, copied, die_everywhere
from .world import DELETING, PLAIN, State

OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "prepare": (Make("k"),),
    "prepare over a local snapshot": (Make("k", "base"),),
    "prepare over a remote snapshot": (Make("k", PLAIN),),
    "prepare over a layer with a companion": (Make("k", DELETING),),
    "prepare for a user namespace": (Make("k", "base", mapped=True),),
    "prepare of a layer that is not there": (Pull("k", 3, "base"),),
    "prepare that is refused": (Make("loose", "base"),),
    "pull": (Pull("k", 0, "base"),),
    "pull over a remote snapshot": (Pull("k", 0, DELETING),),
    "pull that needs a companion": (Pull("k", 2),),
    "pull that shares a companion": (Pull("k", 1, "base"),),
    "pull of what is there": (Pull("k", 1),),
    "pull by two": (Pull("k", 2, PLAIN), Pull("m", 2, PLAIN)),
    "pull and remove by two": (Pull("k", 2), Remove("loose")),
    "prepare by two": (Make("k", "base"), Make("m", PLAIN)),
    "view of nothing": (Make("k", kind=Kind.VIEW),),
    "view of a local snapshot": (Make("k", "base", kind=Kind.VIEW),),
    "view of a remote snapshot": (Make("k", PLAIN, kind=Kind.VIEW),),
    "commit": (Commit("new", "loose"),),
    "commit over a parent": (Commit("new", "container"),),
    "commit that sets a parent": (Commit("new", "loose", PLAIN),),
    "remove": (Remove("loose"),),
    "remove of a view": (Remove("nothing"),),
    "remove that is refused": (Remove(PLAIN),),
    "update": (Update("base", "v"),),
    "update of a remote snapshot": (Update(PLAIN, "v"),),
    "mounts": (Mounts("container"),),
    "measure": (Measure(),),
    "clean up by two": (Cleanup(), Cleanup()),
}


NOTHING = {
    "prepare that is refused": 2,
    "pull of what is there": 0,
    "remove that is refused": 4,
    "mounts": 2,
}
"""These change nothing; so many moments are those of transactions that come to nothing."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_step(bench: Bench, prepared: tuple[Place, State], name: str) -> None:
    """Whatever step it is, answers hold, nothing is half done, and the call can be repeated."""
    place, state = prepared
    died = die_everywhere(bench, place, [OPERATIONS[name]], state, "trial")

    assert NOTHING.get(name, 6) <= died


@pytest.mark.parametrize("name", ["prepare over a layer with a companion", "mounts"])
def test_every_step_where_links_are_made(
    bench: Bench, prepared: tuple[Place, State], name: str
) -> None:
    """They are no part of what is recorded: the next to need them makes them."""
    place, state = prepared
    place = bench.with_links(place)
    without = die_everywhere(bench, prepared[0], [OPERATIONS[name]], state, "trial")
    died = die_everywhere(bench, place, [OPERATIONS[name]], state, "trial")

    assert without + 2 <= died


@pytest.mark.parametrize("callers", [1, 2])
def test_every_step_of_a_cleanup(
    bench: Bench, prepared: tuple[Place, State], callers: int
) -> None:
    """Directories with files in them, links and a companion go, whenever it is interrupted."""
    place, state = with_tombstones(bench, prepared)
    died = die_everywhere(bench, place, [(Cleanup(),) * callers], state, "trial")

    assert 40 < died


def with_tombstones(bench: Bench, prepared: tuple[Place, State]) -> tuple[Place, State]:
    """Remove some of everything, so that there is something to clean up."""
    place = copied(prepared[0], "removed")
    removed = ("loose", "seen", "nothing", "container", DELETING, PLAIN)
    with opened(place) as core:
        return place, carry_out(core, prepared[1], [Remove(name) for name in removed])


def test_every_step_of_mending(bench: Bench, prepared: tuple[Place, State]) -> None:
    """An own directory that was lost comes back whole, however often it is tried."""
    place, state = prepared
    place = copied(place, "lost")
    with opened(place) as core:
        shutil.rmtree(place.root / "snapshots" / str(core.record("container").identifier))
    state = {**state, "container": attrs.evolve(state["container"], payload="")}
    deadly, died = 0, "not yet"
    while died:
        deadly += 1
        there = copied(place, "trial")
        died = run_in_child(there, [(Mounts("container"),)], state, deadly).died
        with opened(there) as core:
            core.snapshotter.mounts("container")
            assert state == check_start(core, there, bench.companions)
            check_service(core, there, state)

    assert 16 < deadly
