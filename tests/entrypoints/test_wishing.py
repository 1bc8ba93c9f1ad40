"""Remembering missed layers in the background."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs
import pytest
import structlog
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger

from cvmfs_snapshotter.adapters.memory import MemoryClock, MemoryStore
from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.errors import ResourceExhaustedError
from cvmfs_snapshotter.domain.events import LayerDecided, SnapshotCommitted
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason
from cvmfs_snapshotter.domain.ports.store import Transaction
from cvmfs_snapshotter.domain.wishes import Wish
from cvmfs_snapshotter.entrypoints import wishing
from cvmfs_snapshotter.entrypoints.wishing import MOST_PENDING, Wishing
from tests.harness.processes import wait_until

T = TypeVar("T")
DIGEST = Digest("1" * 64)
IMAGE = "docker.io/library/a:1"


@pytest.fixture
def log() -> LogCapture:
    """Give what takes the lines of ``logger``."""
    return LogCapture()


@pytest.fixture
def logger(log: LogCapture) -> FilteringBoundLogger:
    """Give a logger whose lines can be read."""
    made: FilteringBoundLogger = structlog.wrap_logger(
        None, processors=[log], wrapper_class=structlog.make_filtering_bound_logger("debug")
    )
    return made


@attrs.define
class _Disk(MemoryStore):
    """Fails, or hangs, for as long as it is told."""

    broken: Exception | None = None
    hangs: threading.Event | None = None
    writes: int = 0

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def write(self, operation: Callable[[Transaction], T], *, frees: bool = False) -> T:
        self.writes += 1
        if self.hangs is not None:
            self.hangs.wait(30)
        if self.broken is not None:
            raise self.broken
        return super().write(operation, frees=frees)


def missed(digest: str = str(DIGEST), image: str = IMAGE) -> LayerDecided:
    """Give the event of a layer that is published nowhere."""
    return LayerDecided("k", "", "t", digest, Miss(Reason.ABSENT, "gone"), 0.0, image)


def found() -> LayerDecided:
    """Give the event of a layer that was found."""
    return LayerDecided("k", "", "t", str(DIGEST), Hit(Layer("s", DIGEST), None), 0.0, IMAGE)


def wishes_in(store: MemoryStore) -> Sequence[Wish]:
    """Give what is recorded."""
    return store.read(lambda r: r.wishes())


def record_all(store: MemoryStore, logger: FilteringBoundLogger, *events: LayerDecided) -> None:
    """Let events come and all of them be recorded."""
    clock = MemoryClock()
    wishing = Wishing(store, clock, logger, pause=0.0)
    for event in events:
        wishing.record(event)
    wishing.start()
    assert wishing.stop(30.0)


def test_misses_are_counted(logger: FilteringBoundLogger) -> None:
    """One record for all misses of a layer, in one transaction; other events leave none."""
    store = _Disk()
    wishing = Wishing(store, MemoryClock(), logger, pause=0.0)
    wishing.record(SnapshotCommitted(1))
    for _ in range(3):
        wishing.record(missed())
    wishing.start()
    assert wishing.stop(30.0)

    (wish,) = wishes_in(store)
    assert (IMAGE, DIGEST, Reason.ABSENT, 3) == (wish.image, wish.digest, wish.reason, wish.count)
    assert 1 == store.writes


def test_misses_are_recorded_while_it_runs(logger: FilteringBoundLogger) -> None:
    """Nothing waits for the end of the daemon."""
    store = MemoryStore()
    wishing = Wishing(store, MemoryClock(), logger, pause=0.0)
    wishing.start()
    for count in (1, 2):
        wishing.record(missed())
        wait_until("it is recorded", lambda n=count: [n] == [w.count for w in wishes_in(store)])  # type: ignore[misc]
    assert wishing.stop(30.0)


def test_a_layer_that_was_found_is_forgotten(logger: FilteringBoundLogger) -> None:
    """Recorded before or not yet, it is not wished for; what is missed later is."""
    store = MemoryStore()
    record_all(store, logger, missed(), missed(image=""))
    record_all(store, logger, missed(), found())
    assert [] == list(wishes_in(store))

    record_all(store, logger, found(), missed())
    assert [1] == [wish.count for wish in wishes_in(store)]


@pytest.mark.parametrize("image", ["", "a", "r.io/a:1\ninput:\n- x", "r.io/a:' # "])
def test_an_image_without_a_proper_name(image: str, logger: FilteringBoundLogger) -> None:
    """The layer is remembered, what stood for the image is not."""
    store = MemoryStore()
    record_all(store, logger, missed(image=image))

    assert [""] == [wish.image for wish in wishes_in(store)]


@pytest.mark.parametrize("digest", ["", "sha256:../../x", f"sha256:{'A' * 64}"])
def test_a_layer_without_a_proper_digest(digest: str, logger: FilteringBoundLogger) -> None:
    """There is nothing to remember."""
    store = MemoryStore()
    record_all(store, logger, missed(digest=digest))

    assert [] == list(wishes_in(store))


def test_a_full_disk(
    logger: FilteringBoundLogger, log: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be recorded is recorded later, with what came meanwhile; a line says so."""
    monkeypatch.setattr(wishing, "PAUSE", 0.01)
    store = _Disk(broken=ResourceExhaustedError("the disk is full"))
    made = Wishing(store, MemoryClock(), logger, pause=0.0)
    made.start()
    made.record(missed())
    wait_until("it has failed", lambda: store.writes)
    made.record(missed())
    store.broken = None
    wait_until("both are recorded", lambda: [2] == [w.count for w in wishes_in(store)])

    assert "the disk is full" == log.entries[0]["cause"]
    assert made.stop(30.0)


def test_an_unexpected_failure(
    logger: FilteringBoundLogger, log: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread outlives it."""
    monkeypatch.setattr(wishing, "PAUSE", 0.01)
    store = _Disk(broken=OSError("a fault"))
    made = Wishing(store, MemoryClock(), logger, pause=0.0)
    made.start()
    made.record(missed())
    wait_until("it has failed", lambda: store.writes)
    store.broken = None
    wait_until("it is recorded", lambda: wishes_in(store))

    assert "OSError('a fault')" == log.entries[0]["cause"]
    assert made.stop(30.0)


def test_a_disk_that_hangs(logger: FilteringBoundLogger) -> None:
    """Whoever misses a layer does not wait, and neither does the end for longer than it was told.

    What waits is bounded, whatever is asked for meanwhile.
    """
    go_on = threading.Event()
    store = _Disk(hangs=go_on)
    made = Wishing(store, MemoryClock(), logger, pause=0.0)
    made.start()
    made.record(missed())
    wait_until("it hangs", lambda: store.writes)
    for number in range(MOST_PENDING + 5):
        made.record(missed(digest=f"sha256:{number:064x}"))
    assert not made.stop(0.01)
    go_on.set()
    wait_until("it has ended", lambda: made.stop(1.0))

    assert 1 + MOST_PENDING == len(wishes_in(store))


def test_the_label_is_containerds() -> None:
    """It is the reference that containerd sends with the digest (``pkg/snapshotters``)."""
    assert "containerd.io/snapshot/cri.image-ref" == label_rules.IMAGE
