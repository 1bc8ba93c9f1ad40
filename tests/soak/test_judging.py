"""The soak would see what it looks for: wrong files, errors without a cause, leaks."""

import math
from collections import Counter
from pathlib import Path

import attrs
import pytest

from tests.harness import samples
from tests.harness.images import Image

from .errors import KINDS
from .gauges import Gauge
from .images import all_samples, seen
from .judging import (
    VANISHED_UNDER_IT,
    Cause,
    Operation,
    Trouble,
    explanation,
    growth,
    shows_wrong_files,
)
from .leaks import DESCRIPTORS, MEMORY, PROBES, THREADS, Kept, excess, leftovers
from .report import LONGEST, LONGEST_STAT, defects

SOURCE = Trouble(Cause.SOURCE, "the source hangs", 10.0, 20.0)
UNREACHABLE = "UNAVAILABLE: layer sha256:00 at /cvmfs/x cannot be reached (slow): no answer"
SEEN = Counter({"/data": 2, "/data/file": 1})
GAUGE = Gauge(0.0, 1, 60.0, 30, 40, frozenset(range(6)))


def _failed(error: str, began: float, ended: float, image: str = "a:latest") -> Operation:
    return Operation("run", image, began, began, ended, error)


def test_the_expected_files_of_an_image_with_whiteouts() -> None:
    """What a container has to see follows from the layers: deleted names are not among it."""
    shown = seen(samples.image_b())

    assert {"/data/kept", "/data/deep/new", "/etc/image"} <= set(shown)
    assert set() == {"/data/deleted", "/data/deep/old"} & set(shown)
    assert 2 == shown["/data"]
    assert not [line for line in shown if ".wh." in line]


def test_a_topmost_layer_decides_the_checksum() -> None:
    """A file that two layers have is expected once, as the upper one has it."""
    lower, upper = samples.image_a().layers[1:3]

    both = seen(Image("both:latest", (lower, upper)))
    alone = seen(Image("alone:latest", (upper,)))

    (shared,) = (line for line in both if line.endswith("  /data/shared"))
    assert shared in alone


@pytest.mark.parametrize(
    ("lines", "succeeded", "wrong"),
    [
        (["/data", "/data", "/data/file"], True, False),
        (["/data", "/data"], True, True),
        (["/data", "/data/file"], True, True),
        (["/data", "/data", "/data/file", "/data/.wh.file"], True, True),
        ([], True, True),
        ([], False, False),
        (["/data"], False, False),
        (["/data/deleted"], False, True),
    ],
)
def test_wrong_files(lines: list[str], succeeded: bool, wrong: bool) -> None:
    """A command that ended well shows all; one that failed shows nothing that is not there."""
    assert wrong == shows_wrong_files(lines, SEEN, succeeded=succeeded)


@pytest.mark.parametrize(
    ("began", "ended", "explained"),
    [
        (5.0, 9.0, False),
        (5.0, 10.0, True),
        (15.0, 16.0, True),
        (21.0, 25.0, True),
        (23.0, 25.0, False),
    ],
)
def test_an_error_needs_a_cause_at_its_time(began: float, ended: float, explained: bool) -> None:
    """An error is expected while its cause lasts and shortly afterwards, and at no other time."""
    kind = explanation(_failed(UNREACHABLE, began, ended), [SOURCE], KINDS)

    assert explained == (kind == "a layer below is out of reach")


def test_a_container_recovers_from_a_broken_source_but_not_from_a_dead_one() -> None:
    """What broke since a container began explains its errors only where nothing could mend it."""
    dead = attrs.evolve(SOURCE, cause=Cause.DIED)
    later = Operation("look again", "a:latest", 5.0, 30.0, 31.0, "UNKNOWN: stale NFS file handle")

    assert explanation(later, [SOURCE], KINDS) is None
    assert "files are out of reach" == explanation(later, [dead], KINDS)


@pytest.mark.parametrize(
    "error", ["INTERNAL: KeyError", "UNKNOWN: missing parent bucket", "DEADLINE_EXCEEDED: "]
)
def test_unknown_errors_have_no_cause(error: str) -> None:
    """Nothing explains an error of a kind that may not happen."""
    assert explanation(_failed(error, 12.0, 13.0), [SOURCE], KINDS) is None


def test_another_cause_explains_nothing() -> None:
    """A broken source explains no daemon that is away, one image's removal no other one's."""
    away = _failed("UNAVAILABLE: dial unix /x/daemon.sock: connection refused", 12.0, 13.0)
    gone = _failed("NOT_FOUND: image not found", 12.0, 13.0)
    removed = Trouble(Cause.REMOVED, "removed", 11.0, math.inf, frozenset({"b:latest"}))

    assert explanation(away, [SOURCE], KINDS) is None
    assert explanation(gone, [SOURCE, removed], KINDS) is None
    assert explanation(attrs.evolve(gone, image="b:latest"), [removed], KINDS) is not None


@pytest.mark.parametrize(
    "text", ["connection closed", "error reading from server: connection reset by peer"]
)
@pytest.mark.parametrize("cause", [Cause.DAEMON, Cause.CONTAINERD])
def test_a_lost_connection(text: str, cause: Cause) -> None:
    """A text that does not say whose end was lost is explained by a restart of either."""
    lost = _failed(f"UNAVAILABLE: {text}", 12.0, 13.0)

    assert explanation(lost, [attrs.evolve(SOURCE, cause=cause)], KINDS) is not None
    assert explanation(lost, [SOURCE], KINDS) is None


def test_wrong_files_are_never_explained() -> None:
    """Whatever is broken, no container may see wrong files."""
    operation = attrs.evolve(_failed(UNREACHABLE, 12.0, 13.0), wrong=True)

    assert 1 == len(defects([operation], [SOURCE]))


@pytest.mark.parametrize(
    ("began", "ended", "image", "expected"),
    [
        (5.0, 15.0, "a:latest", VANISHED_UNDER_IT),
        (5.0, 9.0, "a:latest", None),
        (13.0, 15.0, "a:latest", None),
        (5.0, 15.0, "b:latest", None),
    ],
    ids=["under it", "before", "later", "another"],
)
def test_layers_that_vanish(began: float, ended: float, image: str, expected: str | None) -> None:
    """Files may be missing where layers vanished after a container had begun, nowhere else."""
    vanished = Trouble(Cause.VANISHED, "vanished", 10.0, 20.0, frozenset({"a:latest"}))
    operation = Operation("run", image, began, began, ended, "missing", wrong=True)

    assert expected == explanation(operation, [vanished], KINDS)


def test_nothing_may_hang() -> None:
    """What takes too long is a defect, also when it ends well and while something is broken."""
    hung = Operation("pull", "a:latest", 5.0, 5.0, 6.0 + LONGEST)
    slow = Operation("stat", "", 5.0, 5.0, 6.0 + LONGEST_STAT)
    restart = Trouble(Cause.DAEMON, "the daemon is killed", 6.0, 9.0)

    assert 2 == len(defects([hung, slow], [SOURCE]))
    assert [] == defects([slow], [restart])


def test_growth() -> None:
    """Warming up is no growth, a steady climb is, and a few figures say nothing."""
    assert 0.0 == growth([10.0, 50.0, 60.0, 60.0, 60.0, 60.0])
    assert 20.0 == growth([0.0, 10.0, 20.0, 30.0, 40.0, 50.0])
    assert 0.0 == growth([0.0, 10.0, 20.0])


@pytest.mark.parametrize(
    "now",
    [
        attrs.evolve(GAUGE, threads=THREADS + 1),
        attrs.evolve(GAUGE, probes=frozenset(range(PROBES + 1))),
        attrs.evolve(GAUGE, descriptors=GAUGE.descriptors + DESCRIPTORS + 1),
    ],
    ids=["threads", "probes", "descriptors"],
)
def test_too_much_of_something(now: Gauge) -> None:
    """More threads, probe processes or descriptors than there may be are a leak."""
    assert [] == excess(GAUGE, GAUGE, [GAUGE] * 9)
    assert 1 == len(excess(now, GAUGE, [GAUGE] * 9))


def test_memory_that_grows() -> None:
    """A daemon that gets bigger and bigger leaks."""
    series = [attrs.evolve(GAUGE, memory=60.0 + step * MEMORY) for step in range(9)]

    assert 1 == len(excess(GAUGE, GAUGE, series))


def test_what_is_left() -> None:
    """A record, a directory, a link or a mount that was not there before is a leak."""
    before = Kept({"snapshots": 0}, frozenset({"l/s"}), frozenset({Path("/cvmfs")}))
    after = Kept({"snapshots": 1}, frozenset({"l/7"}), frozenset({Path("/cvmfs"), Path("/m")}))

    assert [] == leftovers(before, lambda: before, 0.0)
    assert [
        "1 rows of snapshots",
        "l/7 in the root",
        "l/s is gone from the root",
        "mount /m",
    ] == leftovers(before, lambda: after, 0.0)


def test_the_images_are_of_all_sorts() -> None:
    """Some images are on the source altogether, some in part, some not; layers are shared."""
    shares = [len(sample.published) / len(sample.image.layers) for sample in all_samples()]
    used = Counter(digest for s in all_samples() for digest in {x.digest for x in s.image.layers})

    assert {0.0, 1.0} < set(shares)
    assert 5 <= max(used.values())
