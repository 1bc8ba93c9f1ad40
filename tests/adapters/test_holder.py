"""Holding a source's root: what is asked of its process, and what becomes of it."""

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.adapters.layers.holder import Holder
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.domain.layer import Reason
from tests.harness.processes import wait_until

SOURCE = SourceSettings("one", "cvmfs", "one.example.org", "/cvmfs/one")
HELD = {"proven": True, "revision": 7}


class Keeper:
    """Answers what it is told to, and may hang."""

    def __init__(self, *answers: Mapping[str, object], lost: int = 0) -> None:
        self.answers = list(answers)
        self.asked: list[Mapping[str, object]] = []
        self.closed = False
        self.lost = lost
        self.asking = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def ask(self, request: Mapping[str, object], seconds: float) -> Mapping[str, object]:
        """See ``Keeper.ask``."""
        self.asked.append(request)
        self.asking.set()
        self.may_answer.wait(10.0)
        return self.answers.pop(0)

    def count(self) -> tuple[int, int]:
        """See ``Keeper.count``."""
        return (0 if self.closed else 1), (self.lost if self.closed else 0)

    def close(self, seconds: float = 2.0) -> None:
        """See ``Keeper.close``."""
        self.closed = True


def make(*keepers: Keeper, keep_mounted: bool = True) -> Holder:
    """Give a holder that starts these processes, one after another."""
    waiting = list(keepers)
    return Holder(attrs.evolve(SOURCE, keep_mounted=keep_mounted), lambda: waiting.pop(0))


def test_take() -> None:
    """One process is asked, again and again, and says what it knows."""
    keeper = Keeper(HELD, {"proven": False, "revision": None})
    holder = make(keeper)
    assert (False, None, True) == (holder.held, holder.revision, holder.wanted)

    assert holder.take(9.0) is None
    assert (True, 7) == (holder.held, holder.revision)
    assert holder.take(9.0) is None
    assert (True, None) == (holder.held, holder.revision)
    assert [{"do": "root", "source": SOURCE.request, "hold": True}] * 2 == keeper.asked


def test_failure() -> None:
    """What is wrong is said, nothing is held then, and the next try may succeed."""
    holder = make(Keeper(HELD, {"reason": "disconnected", "detail": "dead"}, HELD))
    holder.take(9.0)
    miss = holder.take(9.0)

    assert miss is not None
    assert (Reason.DISCONNECTED, "dead", "one") == (miss.reason, miss.detail, miss.source)
    assert (False, 7) == (holder.held, holder.revision)
    assert holder.take(9.0) is None
    assert holder.held


@pytest.mark.parametrize("keep_mounted", [True, False])
def test_not_wanted(keep_mounted: bool) -> None:
    """A root that is not to be held, from the start or since it was released, is not touched."""
    holder = make(keep_mounted=keep_mounted)
    if keep_mounted:
        holder.release()
    miss = holder.take(9.0)

    assert miss is not None
    assert Reason.BUSY is miss.reason
    assert not holder.wanted


def test_let_go() -> None:
    """Letting go ends the process; a new one holds the root again."""
    first, second = Keeper(HELD), Keeper(HELD)
    holder = make(first, second)
    holder.take(9.0)

    assert holder.let_go()
    assert (True, False) == (first.closed, holder.held)
    assert holder.take(9.0) is None
    assert (False, True) == (second.closed, holder.held)


def test_release_and_want() -> None:
    """What was released is held again when that is wanted."""
    holder = make(Keeper(HELD), Keeper(HELD))
    holder.take(9.0)
    assert holder.release()
    holder.want()

    assert holder.take(9.0) is None


def test_nothing_to_let_go() -> None:
    """Nothing is held by nobody."""
    assert make().let_go()


def test_stuck_process() -> None:
    """One that hangs is told of, and no second one is started until it is gone."""
    first, second = Keeper(HELD, lost=1), Keeper(HELD)
    holder = make(first, second)
    holder.take(9.0)

    assert not holder.release()
    assert 1 == holder.stuck
    holder.want()
    miss = holder.take(9.0)
    assert miss is not None
    assert "still hangs" in miss.detail
    assert [] == second.asked
    first.lost = 0
    assert holder.take(9.0) is None
    assert 0 == holder.stuck


def test_release_while_it_is_taken() -> None:
    """A release wins against a look that is under way, however that ends."""
    keeper = Keeper(HELD)
    keeper.may_answer.clear()
    holder = make(keeper)
    taking = threading.Thread(target=holder.take, args=(9.0,))
    taking.start()
    assert keeper.asking.wait(10.0)
    assert holder.release()
    keeper.may_answer.set()
    taking.join(10.0)

    assert (True, False) == (keeper.closed, holder.held)


@pytest.fixture
def pools() -> Iterator[list[ProbePool]]:
    """Give a list of pools that are closed in the end."""
    made: list[ProbePool] = []
    yield made
    for pool in made:
        pool.close()


def test_real_process(tmp_path: Path, pools: list[ProbePool]) -> None:
    """A real process has the root open, and has not once it was let go."""

    def start() -> ProbePool:
        pools.append(ProbePool(worker_command(WORKER_MODULE), workers=1, lost=2, callers=2))
        return pools[-1]

    def holding() -> list[str]:
        found = []
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if link.readlink() == tmp_path and link.parts[2] != str(os.getpid()):
                    found.append(link.parts[2])
            except OSError:
                continue
        return found

    source = SourceSettings("one", "directory", "", str(tmp_path))
    holder = Holder(source, start)
    assert holder.take(30.0) is None
    assert 1 == len(holding())
    assert holder.take(30.0) is None
    assert 1 == len(holding())
    assert holder.release()
    assert [] == holding()
    holder.want()
    assert holder.take(30.0) is None
    os.kill(int(holding()[0]), 9)
    wait_until("the kernel has let go", lambda: [] == holding())
    assert holder.take(30.0) is None
    assert 1 == len(holding())
