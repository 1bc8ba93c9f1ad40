import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from cvmfs_snapshotter.adapters.logs.events import LogEvents
from cvmfs_snapshotter.adapters.logs.logger import MAX_TEXT, Log, open_log
from cvmfs_snapshotter.domain.circuit import Cause, Operation
from cvmfs_snapshotter.domain.events import (
    CircuitClosed,
    CircuitOpened,
    CleanedUp,
    DirectoryKept,
    DirectoryMade,
    Event,
    LayerDecided,
    LayerUnreachable,
    OrphansFound,
    OwnersLost,
    SnapshotCommitted,
    SourceMoved,
    UpkeepPutOff,
)
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason, Trouble

DIGEST = Digest("a" * 64)
TARGET = f"sha256:{'c' * 64}"
HIT = Hit(Layer("unpacked", DIGEST), None)
DECIDED = LayerDecided(
    key="k8s.io/7/extract-1",
    parent="below@0",
    target=TARGET,
    digest=str(DIGEST),
    outcome=HIT,
    seconds=0.0123456,
)


class Moments:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.seconds


@attrs.frozen
class Written:
    """A log of events, and what was written to it."""

    events: LogEvents
    log: Log
    path: Path
    moments: Moments

    def text(self) -> str:
        """Give all that was written."""
        assert self.log.lines.flush(10.0)
        return self.path.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Give the fields of all lines."""
        return [json.loads(line) for line in self.text().splitlines()]

    def line(self, event: Event) -> dict[str, Any]:
        """Record an event and give the fields of its one line, without the time."""
        before = len(self.lines())
        self.events.record(event)
        (fields,) = self.lines()[before:]
        del fields["time"]
        return fields


Make = Callable[[int], Written]


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Give a way to make a log of events with a threshold."""
    with (tmp_path / "log").open("w") as stream:

        def made(level: int = logging.DEBUG) -> Written:
            log, moments = open_log(level, stream), Moments()
            return Written(LogEvents(log.logger, moments), log, tmp_path / "log", moments)

        yield made


@pytest.fixture
def written(make: Make) -> Written:
    """Give a log of events with everything in it."""
    return make(logging.DEBUG)


def _miss(reason: Reason, detail: str = "because", source: str = "unpacked") -> LayerDecided:
    """Give the event of a miss."""
    return attrs.evolve(DECIDED, outcome=Miss(reason, detail, source))


def test_hit(written: Written) -> None:
    """The line of a hit names the source and everything that containerd asked for."""
    assert {
        "level": "info",
        "msg": "layer decision",
        "remote-snapshot-prepared": "true",
        "digest": str(DIGEST),
        "target": TARGET,
        "parent": "below@0",
        "key": "k8s.io/7/extract-1",
        "outcome": "hit",
        "reason": "hit",
        "detail": "",
        "source": "unpacked",
        "duration_ms": 12.346,
    } == written.line(DECIDED)


def test_miss(written: Written) -> None:
    """The line of a miss says why."""
    assert {
        "level": "info",
        "msg": "layer decision",
        "remote-snapshot-prepared": "false",
        "digest": str(DIGEST),
        "target": TARGET,
        "parent": "below@0",
        "key": "k8s.io/7/extract-1",
        "outcome": "miss",
        "reason": "absent",
        "detail": "because",
        "source": "unpacked",
        "duration_ms": 12.346,
    } == written.line(_miss(Reason.ABSENT))


@pytest.mark.parametrize(("event", "value"), [(DECIDED, "true"), (_miss(Reason.SLOW), "false")])
def test_grep(written: Written, event: Event, value: str) -> None:
    """Scripts that were made for the Go program find its key, spelled without a space."""
    written.events.record(event)

    assert f'"remote-snapshot-prepared":"{value}"' in written.text()


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.HIT])
def test_level_of_a_miss(written: Written, reason: Reason) -> None:
    """A miss is an error if it is the wrong layer, a warning if the source is ill, else normal."""
    written.events.record(_miss(reason))
    level = "info" if reason.healthy else "warning"

    expected = "error" if reason is Reason.WRONG_CHAIN else level
    assert (expected, reason.value) == (
        written.lines()[0]["level"],
        written.lines()[0]["reason"],
    )


def test_control_characters(written: Written) -> None:
    """Labels of an image cannot forge a line: one decision is one line."""
    forged = 'x"}\n{"msg":"layer decision","remote-snapshot-prepared":"true"}\r\x1b[2J'
    event = attrs.evolve(
        _miss(Reason.BAD_DIGEST), key=forged, parent=forged, target=forged, digest=forged
    )
    written.events.record(event)

    text = written.text()
    assert 1 == text.count("\n")
    assert text.rstrip("\n").isprintable()
    assert '"remote-snapshot-prepared":"true"' not in text
    assert forged == json.loads(text)["digest"]


def test_bounded(written: Written) -> None:
    """The longest labels that containerd takes give a line of bounded length."""
    long = "k" * 32_768
    written.events.record(
        attrs.evolve(_miss(Reason.BAD_TARGET, long), key=long, parent=long, target=long)
    )

    assert 5 * MAX_TEXT > len(written.text())


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [
        (
            Reason.NO_DIGEST,
            "layer digests are missing",
            ("disable_snapshot_annotations = false", "enable_remote_snapshot_annotations"),
        ),
        (
            Reason.NO_TARGET,
            "layers are not asked for",
            ("ctr images pull of containerd 1.x", "enable_remote_snapshot_annotations"),
        ),
    ],
)
def test_hint(written: Written, reason: Reason, message: str, words: tuple[str, ...]) -> None:
    """A missing label is explained at most once a minute."""
    event = _miss(reason, source="")
    hints = []
    for seconds in (0.0, 0.0, 59.9, 0.2, 59.9, 0.2, 3600.0):
        written.moments.seconds += seconds
        before = len(written.lines())
        written.events.record(event)
        hints.append(len(written.lines()) - before - 1)

    assert [1, 0, 0, 1, 0, 1, 1] == hints
    hint = written.lines()[1]
    assert ("warning", message) == (hint["level"], hint["msg"])
    assert all(each in hint["hint"] for each in words)


def test_each_hint_has_its_own_time(written: Written) -> None:
    """A client that asks wrongly does not silence what is said to one that does not ask."""
    for reason in (Reason.NO_DIGEST, Reason.NO_TARGET):
        written.events.record(_miss(reason))

    assert [
        "layer decision",
        "layer digests are missing",
        "layer decision",
        "layers are not asked for",
    ] == [line["msg"] for line in written.lines()]


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        (Reason.NO_DIGEST, "never send it."),
        (Reason.NO_TARGET, "an unpack_config of the snapshotter."),
    ],
)
def test_whole_hint(written: Written, reason: Reason, end: str) -> None:
    """A hint is short enough to be shown whole."""
    written.events.record(_miss(reason))

    assert written.lines()[1]["hint"].endswith(end)


def test_no_hint_otherwise(written: Written) -> None:
    """Nothing is explained about other misses."""
    for reason in set(Reason) - {Reason.HIT, Reason.NO_DIGEST, Reason.NO_TARGET}:
        written.events.record(_miss(reason))

    assert {"layer decision"} == {line["msg"] for line in written.lines()}


def test_unreachable(written: Written) -> None:
    """A layer out of reach is a warning with layer, path and cause."""
    trouble = Trouble(Layer("nfs", DIGEST), "/mnt/nfs/x", Reason.STALE, "stale handle")

    assert {
        "level": "warning",
        "msg": "remote layer out of reach",
        "key": "k",
        "digest": str(DIGEST),
        "source": "nfs",
        "path": "/mnt/nfs/x",
        "reason": "stale",
        "detail": "stale handle",
    } == written.line(LayerUnreachable("k", trouble))


def test_committed(written: Written) -> None:
    """A commit is for those who debug."""
    assert {"level": "debug", "msg": "snapshot committed", "snapshot": 7} == written.line(
        SnapshotCommitted(7)
    )


def test_directory_kept(written: Written) -> None:
    """A directory that could not be deleted is a warning with its cause."""
    fields = written.line(DirectoryKept(7, "it is busy"))

    assert ("warning", 7, "it is busy") == (
        fields["level"],
        fields["snapshot"],
        fields["cause"],
    )


def test_directory_made(written: Written) -> None:
    """What was lost in a directory is worth a warning."""
    fields = written.line(DirectoryMade(7))

    assert ("warning", 7) == (fields["level"], fields["snapshot"])


def test_orphans(written: Written) -> None:
    """What a crash left is normal; what the database never gave is an error, in another line."""
    written.events.record(OrphansFound((1, 2), (70,)))

    assert [("info", 2, [1, 2]), ("error", 1, [70])] == [
        (line["level"], line["count"], line["snapshots"]) for line in written.lines()
    ]


@pytest.mark.parametrize(
    ("event", "level"),
    [(OrphansFound((1,), ()), "info"), (OrphansFound((), (1,)), "error")],
)
def test_orphans_of_one_sort(written: Written, event: Event, level: str) -> None:
    """There is no line about directories that are not there."""
    assert level == written.line(event)["level"]


def test_many_orphans(written: Written) -> None:
    """All are counted, but not all are shown."""
    fields = written.line(OrphansFound(tuple(range(1, 100_001)), ()))

    assert (100_000, list(range(1, 21))) == (fields["count"], fields["snapshots"])


def test_upkeep_put_off(written: Written) -> None:
    """What could not be done at start is a warning with its cause."""
    fields = written.line(UpkeepPutOff("this", "that"))

    assert ("warning", "this", "that") == (fields["level"], fields["what"], fields["cause"])


def test_source_moved(written: Written) -> None:
    """A moved source is told with both paths."""
    assert {
        "level": "info",
        "msg": "source moved",
        "source": "nfs",
        "before": "/a",
        "after": "/b",
        "links": 3,
    } == written.line(SourceMoved("nfs", "/a", "/b", 3))


OPENED = CircuitOpened("nfs", Cause(Operation.LOOK_UP, Reason.SLOW, "no answer"), 2, 0.87654)
CLOSED = CircuitClosed("nfs", Cause(Operation.LOOK_UP, Reason.SLOW, "no answer"), 12.34567, 4, 0)


def test_circuit_opened(written: Written) -> None:
    """A circuit that opens is a warning with the cause, and what has to work again."""
    assert {
        "level": "warning",
        "msg": "circuit opened: the source is not asked until a trial succeeds",
        "source": "nfs",
        "circuit": "open",
        "reason": "slow",
        "detail": "no answer",
        "waits_for": "look-up",
        "failures": 2,
        "next_try_seconds": 0.877,
    } == written.line(OPENED)


def test_circuit_closed(written: Written) -> None:
    """A circuit that closes says how long it was open, and why."""
    assert {
        "level": "info",
        "msg": "circuit closed: the source is asked again",
        "source": "nfs",
        "circuit": "closed",
        "reason": "slow",
        "detail": "no answer",
        "open_seconds": 12.346,
        "tries": 4,
    } == written.line(CLOSED)


def test_circuit_closed_because_of_layers(written: Written) -> None:
    """That layers are at fault and not their source is a warning."""
    line = written.line(attrs.evolve(CLOSED, suspects=3))

    assert ("warning", 3) == (line["level"], line["layers_at_fault"])


def test_threshold(make: Make) -> None:
    """The threshold holds for events too."""
    written = make(logging.WARNING)
    written.events.record(DECIDED)
    written.events.record(_miss(Reason.SLOW))

    assert ["slow"] == [line["reason"] for line in written.lines()]


@pytest.mark.parametrize("event", [attrs.evolve(DECIDED, outcome=None), _miss(Any)])  # type: ignore[arg-type]
def test_never_raises(written: Written, event: Event) -> None:
    """An event that cannot be written costs no request: the log says so, with a traceback."""
    written.events.record(event)

    (line,) = written.lines()
    assert ("error", "an event could not be logged") == (line["level"], line["msg"])
    assert "LayerDecided" in line["event_type"]
    assert "Traceback" in line["exception"]


def test_never_raises_without_a_log() -> None:
    """A log that fails altogether costs no request either."""

    class Broken:
        def __getattr__(self, name: str) -> Callable[..., None]:
            raise OSError(name)

    LogEvents(Broken()).record(DECIDED)  # type: ignore[arg-type]


def test_owners_lost(written: Written) -> None:
    """Lost owners are told once for each source, however many layers show it."""
    fields = written.line(OwnersLost(Layer("unpacked", DIGEST), (998, 998)))
    for source in ("unpacked", "other", "other"):
        written.events.record(OwnersLost(Layer(source, Digest("b" * 64)), (998, 998)))

    assert ("warning", "unpacked", "998:998") == (
        fields["level"],
        fields["source"],
        fields["owner"],
    )
    assert ["unpacked", "other"] == [line["source"] for line in written.lines()]


def test_cleaned_up(written: Written) -> None:
    """A Cleanup is a line for those who look closely: containerd runs it again and again."""
    assert {
        "level": "debug",
        "msg": "cleaned up",
        "directories": 3,
        "companions": 1,
        "duration_ms": 12.346,
    } == written.line(CleanedUp(3, 1, 0.0123456))
