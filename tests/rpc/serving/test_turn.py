"""Which thread takes calls in."""

import threading
import time

from cvmfs_snapshotter.entrypoints.rpc.serving import step_aside
from cvmfs_snapshotter.entrypoints.rpc.serving.turn import Turn

SECONDS = 30.0


class _Other:
    """Another thread, which takes the turn and keeps it until it is told to end."""

    def __init__(self, turn: Turn) -> None:
        self.has_it = threading.Event()
        self._told = threading.Event()
        self._turn = turn
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._turn.take()
        self.has_it.set()
        self._told.wait(SECONDS)
        self._turn.leave()

    def end(self) -> None:
        """Let it leave and end."""
        self._told.set()
        self._thread.join(SECONDS)


def _turn() -> tuple[Turn, list[int]]:
    short: list[int] = []
    return Turn(lambda: short.append(1)), short


def test_one_has_it() -> None:
    """While one thread has the turn another one waits, and gets it once the first steps aside."""
    turn, short = _turn()
    turn.take()
    other = _Other(turn)

    assert not other.has_it.wait(0.1)
    step_aside()
    assert other.has_it.wait(SECONDS)
    assert [] == short
    other.end()
    assert [1] == short


def test_kept() -> None:
    """Who has the turn keeps it from call to call; nobody else is asked for."""
    turn, short = _turn()
    for _ in range(3):
        turn.take()
        turn.begin()
    other = _Other(turn)

    assert not other.has_it.wait(0.1)
    turn.leave()
    assert other.has_it.wait(SECONDS)
    other.end()
    assert [1] == short


def test_left_once() -> None:
    """Leaving a turn that one does not have is nothing, and never takes it from who has it."""
    turn, short = _turn()
    step_aside()
    turn.leave()
    other = _Other(turn)
    assert other.has_it.wait(SECONDS)
    turn.leave()

    assert [] == short
    assert not turn.is_unwanted()
    other.end()
    assert turn.is_unwanted()


def test_taken_away() -> None:
    """A turn is taken away only from who runs a call for longer than allowed, and only once."""
    turn, short = _turn()
    turn.take()
    assert not turn.take_away(0.0)
    turn.begin()
    assert not turn.take_away(SECONDS)
    assert turn.take_away(0.0)
    assert not turn.take_away(0.0)
    assert [1] == short

    other = _Other(turn)
    assert other.has_it.wait(SECONDS)
    step_aside()
    assert not turn.is_unwanted()
    other.end()


def test_taken_away_from_one_who_comes_back() -> None:
    """Who has lost its turn while it ran a call waits for it again: two never have it."""
    turn, _ = _turn()
    inside = threading.Lock()
    doubled = threading.Event()
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            turn.take()
            if not inside.acquire(blocking=False):
                doubled.set()
                return
            inside.release()
            turn.begin()
        turn.leave()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        turn.take_away(0.0)
    over.set()
    turn.take_away(0.0)
    for thread in threads:
        turn.take_away(0.0)
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert not doubled.is_set()


def test_overseer_sleeps() -> None:
    """Who oversees sleeps while no call is run, wakes for one, and no longer sleeps at the end."""
    turn, _ = _turn()
    turn.take()
    woken = threading.Event()

    def oversee() -> None:
        turn.wait_until_stirred(0.001)
        woken.set()

    thread = threading.Thread(target=oversee, daemon=True)
    thread.start()
    assert not woken.wait(0.1)
    turn.begin()
    assert woken.wait(SECONDS)
    thread.join(SECONDS)

    turn.take()
    turn.keep_awake()
    turn.wait_until_stirred(0.001)
    turn.wait_until_stirred(0.001)
    turn.leave()


def test_overseer_does_not_sleep_without_a_holder() -> None:
    """Where nobody has the turn, who oversees it looks again and again."""
    turn, _ = _turn()
    turn.wait_until_stirred(0.001)
    assert turn.is_unwanted()
