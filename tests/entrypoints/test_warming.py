import threading
from collections.abc import Callable, Mapping

import pytest
import structlog
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger

from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.adapters.memory import MemoryClock
from cvmfs_snapshotter.domain.layer import Reason
from cvmfs_snapshotter.entrypoints.warming import warm_up
from tests.harness.processes import wait_until

Message = Mapping[str, object]
ABSENT = {"reason": "absent", "detail": "it is not published"}


class Prober:
    """Answers for sources, by the path of their root, once it may."""

    def __init__(self, answers: Mapping[str, Message]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, float]] = []
        self.may_answer = threading.Event()

    def ask(self, request: Message, seconds: float) -> Message:
        """See ``Prober.ask``."""
        source = request["source"]
        assert isinstance(source, dict)
        self.asked.append((source["root"], seconds))
        self.may_answer.wait(30.0)
        return self.answers[source["root"]]

    def follow(
        self,
        key: str,
        request: Message,
        finished: Callable[[Message], None],
        patience: float,
        limit: float,
    ) -> Message:
        """See ``Prober.follow``."""
        raise NotImplementedError


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


def _warm(prober: Prober, logger: FilteringBoundLogger, *names: str) -> None:
    """Touch directories that are named like their sources."""
    clock = MemoryClock()
    settings = [
        SourceSettings(name, SourceKind.DIRECTORY, "", f"/{name}", lookup_deadline=seconds)
        for name, seconds in zip(names, (3.0, 7.0), strict=False)
    ]
    warm_up(names, Sources(settings, prober, clock), clock, logger)


def test_every_source(log: LogCapture, logger: FilteringBoundLogger) -> None:
    """Every source is touched, within its own deadline, and has a line that tells how it is."""
    prober = Prober({"/a": {"reason": "not-mounted", "detail": "no directory"}, "/b": ABSENT})
    prober.may_answer.set()
    _warm(prober, logger, "a", "b")
    wait_until("both have a line", lambda: len(log.entries) == 2)

    assert [("/a", 3.0), ("/b", 7.0)] == prober.asked
    assert [
        {
            "log_level": "warning",
            "event": "source is not there; its layers are downloaded until it is",
            "source": "a",
            "reason": "not-mounted",
            "detail": "no directory",
        },
        {"log_level": "info", "event": "source is there", "source": "b"},
    ] == log.entries


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.HIT])
def test_reasons(log: LogCapture, logger: FilteringBoundLogger, reason: Reason) -> None:
    """A source is there if what it says is nothing against it."""
    prober = Prober({"/a": {"reason": reason.value, "detail": ""}})
    prober.may_answer.set()
    _warm(prober, logger, "a")
    (line,) = wait_until("it has a line", lambda: log.entries)

    assert ("info" if reason.healthy else "warning") == line["log_level"]


def test_nobody_waits(log: LogCapture, logger: FilteringBoundLogger) -> None:
    """The daemon serves while a source that hangs is being touched."""
    prober = Prober({"/a": ABSENT})
    _warm(prober, logger, "a")

    assert [] == log.entries
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "warm-up")
    prober.may_answer.set()
    wait_until("it has a line", lambda: log.entries)


def test_no_source(log: LogCapture, logger: FilteringBoundLogger) -> None:
    """Without a source there is nothing to touch."""
    _warm(Prober({}), logger)
    wait_until(
        "it has ended",
        lambda: all(thread.name != "warm-up" for thread in threading.enumerate()),
    )

    assert [] == log.entries
