import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from cvmfs_snapshotter.adapters.tracing.outbox import BATCH, Outbox

SECONDS = 30.0


class Post:
    """Takes spans, and holds or loses them when told to."""

    def __init__(self, most: int = 100, pause: float = 0.01) -> None:
        self.taken: list[int] = []
        self.told: list[tuple[str, int]] = []
        self.problem = ""
        self.reached = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.outbox = Outbox(self.send, lambda *told: self.told.append(told), most, pause)

    def send(self, spans: Sequence[ReadableSpan]) -> None:
        """Take spans."""
        self.reached.set()
        assert self.free.wait(SECONDS)
        if self.problem:
            raise OSError(self.problem)
        self.taken.append(len(spans))

    def end(self, count: int) -> None:
        """End so many spans."""
        for number in range(count):
            self.outbox.on_end(ReadableSpan(f"span {number}"))

    def wait_until(self, handled: int) -> None:
        """Wait until so many were sent or lost."""
        until = time.monotonic() + SECONDS
        while self.outbox.sent + self.outbox.lost < handled:
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.fixture
def post() -> Iterator[Post]:
    """Give an outbox that has begun to send."""
    made = Post()
    made.outbox.start()
    yield made
    made.free.set()
    made.outbox.stop(SECONDS)


def test_sent(post: Post) -> None:
    """Spans are sent without anybody asking for it."""
    post.end(3)
    post.wait_until(3)

    assert (3, 0, 3) == (post.outbox.sent, post.outbox.lost, sum(post.taken))
    assert [] == post.told


def test_many_are_sent_at_once() -> None:
    """Nobody waits for the pause where there are enough for a batch, and none is larger."""
    post = Post(most=3 * BATCH, pause=3600.0)
    post.end(2 * BATCH + 1)
    post.outbox.start()
    post.wait_until(2 * BATCH + 1)

    assert [BATCH, BATCH, 1] == post.taken
    assert post.outbox.stop(SECONDS)


def test_a_collector_that_hangs(post: Post) -> None:
    """Who ends spans never waits; what has no room is lost, counted and told once."""
    post.free.clear()
    post.end(1)
    assert post.reached.wait(SECONDS)
    started = time.monotonic()
    post.end(1000)

    assert time.monotonic() - started < SECONDS / 2
    assert 900 == post.outbox.lost
    post.free.set()
    post.wait_until(1001)
    assert 101 == post.outbox.sent
    post.end(1)
    post.wait_until(1002)
    post.outbox.stop(SECONDS)
    assert [("they end faster than they can be sent", 900), ("", 900)] == post.told


def test_a_collector_that_refuses(post: Post) -> None:
    """Spans that could not be sent are lost; that is told when it begins and when it ends."""
    post.problem = "refused"
    for handled in (1, 2):
        post.end(1)
        post.wait_until(handled)
    post.problem = ""
    post.end(1)
    post.wait_until(3)
    post.outbox.stop(SECONDS)

    assert (1, 2) == (post.outbox.sent, post.outbox.lost)
    assert [("refused", 1), ("", 2)] == post.told


def test_the_end_sends_what_waits() -> None:
    """What has ended before the end of the daemon is sent; what ends after it is lost."""
    post = Post(pause=3600.0)
    post.outbox.start()
    post.end(5)

    assert post.outbox.stop(SECONDS)
    assert [5] == post.taken
    post.end(1)
    assert (5, 1) == (post.outbox.sent, post.outbox.lost)


def test_the_end_does_not_wait_for_ever() -> None:
    """A collector that hangs holds the end up for as long as it may, and every span is counted."""
    post = Post(pause=3600.0)
    post.free.clear()
    post.outbox.start()
    post.end(BATCH)
    post.end(7)
    post.outbox._full.set()
    assert post.reached.wait(SECONDS)

    assert not post.outbox.stop(0.05)
    assert (0, BATCH + 7) == (post.outbox.sent, post.outbox.lost)
    post.free.set()
    post.outbox._thread.join(SECONDS)
    assert (0, BATCH + 7) == (post.outbox.sent, post.outbox.lost)


def test_an_outbox_that_never_began() -> None:
    """A daemon that fails while it starts can be ended all the same."""
    post = Post()
    post.end(2)

    assert post.outbox.stop(SECONDS)
    assert 2 == post.outbox.lost
