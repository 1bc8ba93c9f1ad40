from typing import Any
from xml.etree import ElementTree as ET

import attrs
import pytest

from bench import committing, growth, operations, pulling, starting
from bench.client import Measured
from bench.goals import verdicts
from bench.plan import Plan
from bench.plot import plot
from bench.report import markdown
from bench.results import Load, Results, Single, median_load
from bench.servers import FLOOR, OURS, PEER, SERVED_ALIKE
from bench.stand import DISK, TMPFS


def _load(operation: str, server: str, **other: Any) -> Load:
    load = Load(
        section=operations.SECTION,
        operation=operation,
        server=server,
        medium=DISK,
        callers=1,
        snapshots=0,
        rate=100.0,
        p50=100.0,
        p99=200.0,
        first=0.0,
        server_cpu=50.0,
        helper_cpu=0.0,
        client_cpu=5.0,
        rss=60.0,
        rates=[100.0],
    )
    return attrs.evolve(load, **other)


def _met(*loads: Load) -> list[bool]:
    return [verdict.met for verdict in verdicts(Results(loads=list(loads)))]


def test_nothing_measured_nothing_judged() -> None:
    """A goal without its figures is not judged, neither met nor missed."""
    assert [] == verdicts(Results())
    assert [] == verdicts(Results(loads=[_load("prepare-remove", OURS)]))


@pytest.mark.parametrize(("rate", "met"), [(130.0, True), (129.0, False)])
def test_a_rate_is_compared_with_the_peer(rate: float, met: bool) -> None:
    """A rate of ours is divided by the peer's at the same number of callers."""
    peer = _load("prepare-remove", PEER)

    assert [met] == _met(_load("prepare-remove", OURS, rate=rate), peer)
    assert [] == _met(_load("prepare-remove", OURS, rate=rate, callers=8), peer)


@pytest.mark.parametrize(("rate", "met"), [(200.0, True), (199.0, False)])
def test_a_remote_layer_is_compared_with_an_unpacked_one(rate: float, met: bool) -> None:
    """The peer of a remote layer is what the peer does for a layer that it unpacks."""
    assert [met] == _met(_load("remote", OURS, rate=rate), _load("prepare-commit", PEER))


def test_what_empty_calls_reach_stands_beside_a_rate() -> None:
    """A reader sees how much of a goal no handler on the same gRPC could reach."""
    loads = [
        _load("remote", OURS, rate=80.0),
        _load("prepare-commit", PEER),
        _load("three-calls", SERVED_ALIKE, rate=170.0),
    ]
    (verdict,) = verdicts(Results(loads=loads))

    assert "0.80x (empty calls alone: 1.70x)" == verdict.measured
    assert not verdict.met


@pytest.mark.parametrize(("p50", "met"), [(130.0, True), (131.0, False)])
def test_a_latency_is_compared_with_the_floor(p50: float, met: bool) -> None:
    """The latency of a Stat is divided by an empty handler's."""
    assert [met] == _met(_load("stat", OURS, p50=p50), _load("stat", FLOOR))


def test_what_an_empty_handler_costs_that_is_served_alike_stands_beside_it() -> None:
    """A reader sees what the daemon's own handler costs, whoever serves it."""
    loads = [_load("stat", OURS, callers=8, rate=120.0), _load("stat", FLOOR, callers=8)]
    loads.append(_load("stat", SERVED_ALIKE, callers=8, rate=200.0))
    (verdict,) = verdicts(Results(loads=loads))

    assert "1.20x (served as ours: 0.60x)" == verdict.measured
    assert verdict.met


def test_sizes_are_compared_with_a_small_one() -> None:
    """With many snapshots there a remote layer has to be nearly as fast as with few."""
    few, many, most = (
        _load("remote", OURS, section=growth.SECTION, snapshots=size, rate=rate)
        for size, rate in ((100, 100.0), (10_000, 91.0), (100_000, 89.0))
    )

    assert [True, False] == _met(few, many, most)


def test_a_listing_has_two_goals() -> None:
    """A listing is judged by its whole time beside the peer's, and by its first batch."""
    both: dict[str, Any] = {"section": growth.LISTING, "medium": TMPFS, "snapshots": growth.LISTED}
    ours = _load("list", OURS, p50=150_000.0, first=21_000.0, **both)

    assert [True, False] == _met(ours, _load("list", PEER, p50=80_000.0, **both))


def test_commits_are_compared_with_an_empty_one() -> None:
    """The Commit of many files is divided by that of none."""
    empty = _load(committing.EMPTY, OURS, section=committing.SECTION)
    full = _load(committing.FULL, OURS, section=committing.SECTION, p50=201.0)

    assert [False] == _met(empty, full)


def test_single_figures_are_judged() -> None:
    """Starts, memory and pulls have their goals too; what is measured is in the verdict."""
    start = "exec to first answer, 10000 remote snapshots"
    results = Results(
        singles=[
            Single.of(starting.SECTION, start, OURS, [0.5, 0.6, 9.0], "s"),
            Single.of(pulling.SECTION, pulling.PULL, OURS, [1.0], "s"),
            Single.of(pulling.SECTION, pulling.PULL, pulling.DOWNLOADED, [19.0], "s"),
        ]
    )

    assert [(start, "0.6 s", True), ("PullImage, ten layers", "19.00x", False)] == [
        (each.what, each.measured, each.met) for each in verdicts(results)
    ]


def test_rounds_come_to_their_medians() -> None:
    """One round that something disturbed does not count."""
    rounds = [
        Measured(
            operations=n,
            seconds=2.0,
            p50=p50,
            p99=1,
            first=0,
            server_cpu=2,
            helper_cpu=0,
            client_cpu=1,
        )
        for n, p50 in ((200, 10.0), (2, 999.0), (220, 12.0))
    ]
    found = median_load(
        rounds,
        section="s",
        operation="stat",
        server=OURS,
        medium=DISK,
        callers=1,
        snapshots=0,
        rss=1.0,
    )

    assert (100.0, 12.0, [100.0, 1.0, 110.0]) == (found.rate, found.p50, found.rates)


def test_the_report_has_every_load_and_goal() -> None:
    """The Markdown shows each figure measured, and goals that were missed stand out."""
    results = Results(
        loads=[_load("stat", OURS, p50=131.0), _load("stat", FLOOR)],
        singles=[Single.of("start", "RSS", OURS, [61.5], "MiB")],
    )
    text = markdown(results, {"kernel": "6.1"})

    assert "* kernel: 6.1" in text
    assert "| at most 1.3x an empty handler's | 1.31x | NO |" in text
    assert 2 == text.count("| stat | disk | 0 | 1 |")
    assert "| RSS | cvmfs-snapshotter | 61.500 | MiB | 61.500 |" in text


def test_the_plot_has_a_bar_for_each_load() -> None:
    """Bars of one group have one scale; a remote layer stands beside the peer's unpacking."""
    results = Results(
        loads=[
            _load("remote", OURS, rate=200.0),
            _load("prepare-commit", PEER, rate=50.0),
        ]
    )
    drawing = ET.fromstring(plot(results))  # noqa: S314 - our own drawing
    bars = [
        float(bar.get("width", "0"))
        for bar in drawing.iter("{http://www.w3.org/2000/svg}rect")
        if bar.get("x") == "250"
    ]
    remote, unpacked, *_ = bars

    assert 4.0 == pytest.approx(remote / unpacked, rel=0.01)


def test_names_choose_what_is_measured() -> None:
    """Without names everything is measured, with names what one of them names."""
    assert Plan().wants("stat")
    assert Plan(only=frozenset({"stat", "pull"})).wants("operations", "stat")
    assert not Plan(only=frozenset({"pull"})).wants("operations", "stat")
