"""A real daemon is killed at random moments while several callers keep it busy."""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing

import pytest

from cvmfs_snapshotter.domain.snapshot import Kind
from tests.contract.wire import WireSnapshotter
from tests.harness.daemon import Daemon
from tests.harness.workspace import workspace

from .callers import SHARED, Caller
from .checker import Tree, check_companions, check_nothing_else, state_of
from .core import Place, looked_at
from .trial import Bench

LONG = os.environ.get("CVMFS_SNAPSHOTTER_LONG") == "1"
KILLS = 100 if LONG else 10
RUNS = 5
CALLERS = 4


@pytest.mark.parametrize("run", range(RUNS))
def test_kills_under_load(bench: Bench, run: int) -> None:
    """After each start every answered call has had its effect, and no other one has."""
    chosen, *others = (chooser(run * 10 + number) for number in range(CALLERS + 1))
    callers = [
        Caller(f"caller{n}", n if n in {1, 2} else SHARED, choices)
        for n, choices in enumerate(others)
    ]
    with workspace() as space:
        daemon = Daemon.make(space.base / "d", bench.repository)
        place = Place(daemon.root, bench.repository, str(bench.repository))
        try:
            for number in range(KILLS + 1):
                daemon.start()
                settle(daemon, place, callers, bench.companions)
                if number < KILLS:
                    load(daemon, callers, chosen.uniform(0.02, 0.5))
                    if number % 3 == 0:
                        kill_while_starting(daemon, chosen.uniform(0.0, 0.6))
        finally:
            daemon.stop()
        answered = sum(caller.calls for caller in callers)
        errors = [line for line in daemon.lines() if line.get("level") in {"error", "not JSON"}]
    assert [] == errors
    assert 10 * KILLS < answered


def chooser(seed: int) -> random.Random:
    """Make what chooses alike on every run."""
    return random.Random(seed)  # noqa: S311 - nothing is kept secret


def load(daemon: Daemon, callers: Sequence[Caller], seconds: float) -> None:
    """Have callers call for a while, and kill the daemon under their hands."""
    client = WireSnapshotter(daemon.socket)
    threads = [threading.Thread(target=caller.work, args=(client,)) for caller in callers]
    try:
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        daemon.kill()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    finally:
        client.close()


def kill_while_starting(daemon: Daemon, seconds: float) -> None:
    """Start the daemon and kill it before it serves, perhaps."""
    daemon._program.start()
    time.sleep(seconds)
    daemon.kill()


def settle(
    daemon: Daemon, place: Place, callers: Sequence[Caller], companions: Mapping[int, Tree]
) -> None:
    """Look at everything after a start."""
    client = WireSnapshotter(daemon.socket)
    try:
        found = {s.name: s.kind for batch in client.list([]) for s in batch}
        for caller in callers:
            caller.settle(found)
        for name, kind in found.items():
            if kind is not Kind.COMMITTED:
                client.mounts(name)
        client.cleanup()
    finally:
        client.close()
    with closing(sqlite3.connect(place.database)) as database:
        assert [("ok",)] == database.execute("PRAGMA integrity_check").fetchall()
    with looked_at(place) as core:
        assert len(found) == len(state_of(core, place))
        check_companions(core, place, companions)
        check_nothing_else(core, place, core.records())
