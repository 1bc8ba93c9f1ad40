"""Sequences of operations and crashes, at random: what was answered stays true through all."""

import itertools
import os
import shutil
from collections.abc import Sequence

import attrs
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from cvmfs_snapshotter.domain.snapshot import Kind

from .checker import check_service
from .child import run_in_child
from .core import Place, opened
from .operations import Cleanup, Commit, Make, Measure, Mounts, Operation, Pull, Remove, Update
from .trial import Bench, Operations, check, copied
from .world import State

LONG = os.environ.get("CVMFS_SNAPSHOTTER_LONG") == "1"
CRASHES = 20_000 if LONG else 1_000
"""At least so many; the tests of single operations and of starts have more than that as well."""

MOMENTS = st.one_of(st.integers(1, 4), st.integers(1, 8), st.integers(1, 100))
"""Most operations have few moments."""
_places = itertools.count()


@attrs.frozen
class Choice:
    """What is drawn of an operation: it does not depend on the state, which a crash leaves open.

    Attributes:
        key: names something new.
        parent: picks a committed snapshot, or nothing.
        other: picks a snapshot that fits, or none that is there.
        number: of a layer, or of a variant.
        what: picks the operation.
    """

    key: str
    parent: int
    other: int
    number: int
    what: str

    def operation(self, state: State) -> Operation:  # noqa: PLR0911 - one for each operation
        """Give the operation; most make sense."""
        committed = sorted(n for n, entry in state.items() if entry.kind is Kind.COMMITTED)
        active = sorted(n for n, entry in state.items() if entry.kind is Kind.ACTIVE)
        childless = sorted(state.keys() - {entry.parent for entry in state.values()})
        parent = _pick(["", *committed], self.parent)
        match self.what:
            case "make":
                kind = Kind.VIEW if self.number == 0 else Kind.ACTIVE
                return Make(self.key, parent, kind, mapped=self.number == 1)
            case "pull":
                return Pull(self.key, self.number, parent)
            case "commit":
                given = parent if self.number == 0 else ""
                return Commit(self.key, _pick([*active, "none"], self.other), given)
            case "remove":
                return Remove(_pick([*childless, "none"], self.other))
            case "update":
                return Update(_pick([*sorted(state), "none"], self.other), self.key)
            case "mounts":
                return Mounts(_pick([*active, "none"], self.other))
            case "measure":
                return Measure()
            case _:
                return Cleanup()


def _pick(names: Sequence[str], number: int) -> str:
    return names[number % len(names)]


WHAT = (
    "make",
    "make",
    "pull",
    "pull",
    "commit",
    "remove",
    "update",
    "mounts",
    "measure",
    "cleanup",
)
CHOICES = st.builds(
    Choice,
    key=st.sampled_from(["a", "b", "c", "d", "e"]),
    parent=st.integers(0, 11),
    other=st.integers(0, 11),
    number=st.integers(0, 3),
    what=st.sampled_from(WHAT),
)


class CrashMachine(RuleBasedStateMachine):
    """A core that dies now and then, and a model of what it has."""

    bench: Bench
    empty: Place
    crashes = 0

    @initialize()
    def start(self) -> None:
        """Begin with an empty state directory."""
        self.place = copied(self.empty, f"sequence-{next(_places)}")
        self.state: State = {}

    def teardown(self) -> None:
        """Leave no directory behind for each of many examples."""
        if hasattr(self, "place"):
            shutil.rmtree(self.place.root.parent)

    def try_out(self, operations: Operations, moment: int, *, serve: bool) -> None:
        """Die at a moment, and look; without service, what was left is left for the next time."""
        report = run_in_child(self.place, operations, self.state, moment)
        type(self).crashes += bool(report.died)
        self.state = check(self.bench, self.place, operations, self.state, report, serve=serve)

    @rule(choices=st.lists(CHOICES, min_size=1, max_size=4), moment=MOMENTS, serve=st.booleans())
    def die(self, choices: list[Choice], moment: int, *, serve: bool) -> None:
        """Do a few things, and die during the last one."""
        state, operations = self.state, []
        for choice in choices:
            operation = choice.operation(state)
            operations.append((operation,))
            state = operation.apply(state)[1]
        self.try_out(operations, moment, serve=serve)

    @rule(moment=st.integers(1, 20), serve=st.booleans())
    def die_at_start(self, moment: int, *, serve: bool) -> None:
        """Die while starting."""
        self.try_out([], moment, serve=serve)

    @rule(choices=st.tuples(CHOICES, CHOICES), moment=MOMENTS, serve=st.booleans())
    def die_with_two_callers(
        self, choices: tuple[Choice, Choice], moment: int, *, serve: bool
    ) -> None:
        """Die while two things are done at once."""
        together = tuple(choice.operation(self.state) for choice in choices)
        self.try_out([together], moment, serve=serve)

    @rule()
    def serve(self) -> None:
        """Start again without any crash."""
        with opened(self.place) as core:
            check_service(core, self.place, self.state)


@pytest.mark.timeout(7200 if LONG else 900)
def test_sequences_of_operations_and_crashes(bench: Bench) -> None:
    """Every answer holds after every crash, and whatever was interrupted can be repeated."""

    class Machine(CrashMachine):
        pass

    Machine.bench = bench
    Machine.empty = bench.prepared("empty", [])[0]
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=3_000 if LONG else 130,
            stateful_step_count=20,
            # What went wrong is told as it is: every example that is tried costs a second.
            phases=[Phase.reuse, Phase.generate],
        ),
    )
    assert CRASHES <= Machine.crashes
