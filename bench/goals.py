"""The goals, each a ratio within one run, and whether they are met."""

from collections.abc import Iterator

import attrs

from . import committing, growth, operations, pulling, scanning, starting
from .results import Load, Results
from .servers import FLOOR, OURS, PEER, SERVED_ALIKE
from .stand import DISK, TMPFS


@attrs.frozen
class Verdict:
    """One goal and what was measured.

    Attributes:
        what: Is measured.
        goal: In words.
        measured: With its unit.
        met: Whether it is.
    """

    what: str
    goal: str
    measured: str
    met: bool


def verdicts(results: Results) -> list[Verdict]:
    """Judge every goal whose figures were measured."""
    found: list[Verdict] = []
    for goals in (_rates, _sizes, _floor, _listing, _starting, _committing, _scanning, _pulling):
        found += goals(results)
    return found


def _at_least(what: str, ratio: float, goal: float, beside: str) -> Verdict:
    return Verdict(what, f"at least {goal}x {beside}", f"{ratio:.2f}x", ratio >= goal)


def _at_most(what: str, ratio: float, goal: float, beside: str) -> Verdict:
    return Verdict(what, f"at most {goal}x {beside}", f"{ratio:.2f}x", ratio <= goal)


def _below(what: str, value: float, goal: float, unit: str) -> Verdict:
    return Verdict(what, f"under {goal:g} {unit}", f"{value:.3g} {unit}", value < goal)


_RATES: tuple[tuple[str, str, str, dict[int, float]], ...] = (
    ("remote", "prepare-commit", "three-calls", {1: 2.0, 8: 2.5}),
    ("prepare-remove", "prepare-remove", "two-calls", {1: 1.3, 8: 2.5, 32: 2.5}),
    ("prepare-commit", "prepare-commit", "two-calls", {1: 1.9, 8: 3.0}),
)
"""Operation of ours, of the peer, and the empty calls that ours is made of; goals by callers."""


def _rates(results: Results) -> Iterator[Verdict]:
    for ours, peers, empty, goals in _RATES:
        for callers, goal in goals.items():
            mine = results.load(operations.SECTION, ours, OURS, DISK, callers=callers)
            other = results.load(operations.SECTION, peers, PEER, DISK, callers=callers)
            if mine and other:
                what = f"{ours}, disk, {callers} callers, per second"
                verdict = _at_least(what, mine.rate / other.rate, goal, f"the peer's {peers}")
                most = _empty(results, empty, callers)
                yield verdict if most is None else _with_ceiling(verdict, most.rate / other.rate)


def _empty(results: Results, operation: str, callers: int) -> Load | None:
    return results.load(operations.SECTION, operation, SERVED_ALIKE, DISK, callers=callers)


def _with_ceiling(verdict: Verdict, most: float) -> Verdict:
    # No handler can be faster than one that does nothing.
    measured = f"{verdict.measured} (empty calls alone: {most:.2f}x)"
    return attrs.evolve(verdict, measured=measured)


def _sizes(results: Results) -> Iterator[Verdict]:
    base = results.load(growth.SECTION, "remote", OURS, DISK, callers=1, snapshots=100)
    for size in (10_000, 100_000):
        large = results.load(growth.SECTION, "remote", OURS, DISK, callers=1, snapshots=size)
        if base and large:
            what = f"remote, disk, {size} snapshots there, per second"
            yield _at_least(what, large.rate / base.rate, 0.9, "that with 100 there")


def _floor(results: Results) -> Iterator[Verdict]:
    for operation, goal in (("stat", 1.3), ("mounts", 1.6)):
        pair = _beside(FLOOR, results, operation, 1)
        if pair:
            what = f"{operation}, 1 caller, median latency"
            verdict = _at_most(what, pair[0].p50 / pair[1].p50, goal, "an empty handler's")
            alike = _beside(SERVED_ALIKE, results, operation, 1)
            yield _and_alike(verdict, alike and alike[0].p50 / alike[1].p50)
    pair = _beside(FLOOR, results, "stat", 8)
    if pair:
        what = "stat, 8 callers, per second"
        verdict = _at_least(what, pair[0].rate / pair[1].rate, 0.8, "an empty handler's")
        alike = _beside(SERVED_ALIKE, results, "stat", 8)
        yield _and_alike(verdict, alike and alike[0].rate / alike[1].rate)


def _and_alike(verdict: Verdict, ratio: float | None) -> Verdict:
    # The goal is about grpcio's server; what ours leaves of one without work says what that costs.
    if ratio is None:
        return verdict
    return attrs.evolve(verdict, measured=f"{verdict.measured} (served as ours: {ratio:.2f}x)")


def _beside(
    server: str, results: Results, operation: str, callers: int
) -> tuple[Load, Load] | None:
    for medium in (DISK, TMPFS):
        ours = results.load(operations.SECTION, operation, OURS, medium, callers=callers)
        other = results.load(operations.SECTION, operation, server, medium, callers=callers)
        if ours and other:
            return ours, other
    return None


def _listing(results: Results) -> Iterator[Verdict]:
    ours = results.load(growth.LISTING, "list", OURS, TMPFS, callers=1, snapshots=growth.LISTED)
    peer = results.load(growth.LISTING, "list", PEER, TMPFS, callers=1, snapshots=growth.LISTED)
    if ours and peer:
        what = f"List of {growth.LISTED}, 1 caller"
        yield _at_most(f"{what}, median latency", ours.p50 / peer.p50, 2.0, "the peer's")
        yield _below(f"{what}, first batch", ours.first / 1000, 20, "ms")


def _starting(results: Results) -> Iterator[Verdict]:
    goals: tuple[tuple[str, float, str], ...] = (
        ("exec to first answer, 10000 remote snapshots", 0.7, "s"),
        ("exec to first answer, 100000 remote snapshots", 0.7, "s"),
        ("RSS at rest, 0 remote snapshots", 75, "MiB"),
        ("RSS at rest, 10000 remote snapshots", 100, "MiB"),
        ("RSS after List, 10000 remote snapshots", 100, "MiB"),
    )
    for name, goal, unit in goals:
        value = results.single(starting.SECTION, name, OURS)
        if value is not None:
            yield _below(name, value, goal, unit)


def _committing(results: Results) -> Iterator[Verdict]:
    full = results.load(committing.SECTION, committing.FULL, OURS, DISK, callers=1)
    empty = results.load(committing.SECTION, committing.EMPTY, OURS, DISK, callers=1)
    if full and empty:
        what = "Commit of 50000 files, median latency"
        yield _at_most(what, full.p50 / empty.p50, 2.0, "that of an empty layer")


def _scanning(results: Results) -> Iterator[Verdict]:
    value = results.single(scanning.SECTION, scanning.NAME, OURS)
    if value is not None:
        yield _below(scanning.NAME, value, 0.5, "s")


def _pulling(results: Results) -> Iterator[Verdict]:
    remote = results.single(pulling.SECTION, pulling.PULL, OURS)
    downloaded = results.single(pulling.SECTION, pulling.PULL, pulling.DOWNLOADED)
    if remote and downloaded:
        what = "PullImage, ten layers"
        yield _at_least(what, downloaded / remote, 20, "as fast as downloading")
