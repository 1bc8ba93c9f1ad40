"""One trial: a core dies during an operation, another one starts, and everything is looked at."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path

import attrs

from tests.harness.repository import Repository

from .checker import Tree, check_service, check_start, companion_tree, state_of
from .child import Report, run_in_child
from .core import Core, Place, opened
from .operations import Operation, Pull, carry_out
from .world import OK, PUBLISHED, State, layers, number_of

Operations = Sequence[tuple[Operation, ...]]


@attrs.frozen
class Bench:
    """What trials need, made once.

    Attributes:
        directory: where trials work.
        repository: the tree with unpacked layers.
        companions: by number of a layer, what its companion looks like.
    """

    directory: Path
    repository: Path
    companions: Mapping[int, Tree]

    @classmethod
    def make(cls, directory: Path) -> "Bench":
        """Publish the layers, and look at companions that were made undisturbed."""
        repository = Repository.make(directory / "repository")
        repository.publish(*layers()[:PUBLISHED])
        bench = cls(directory, repository.path, {})
        place = bench.place("undisturbed")
        found: dict[int, Tree] = {}
        with opened(place) as core:
            for number in range(PUBLISHED):
                Pull("key", number).answer(core, {})
            for record in core.records():
                assert record.layer is not None
                if record.companion is not None:
                    tree = companion_tree(place, record.companion.number)
                    found[number_of(record.layer.digest)] = tree
        assert {1, 2} == found.keys()
        shutil.rmtree(place.root)
        return attrs.evolve(bench, companions=found)

    def place(self, name: str) -> Place:
        """Give a place to work, with nothing in it."""
        return Place(self.directory / name / "root", self.repository, str(self.repository))

    def with_links(self, place: Place) -> Place:
        """Give a place whose source is mounted where only links can name its layers."""
        odd = self.directory / "mount,ed"
        odd.unlink(missing_ok=True)
        odd.symlink_to(self.repository)
        return attrs.evolve(place, host_path=str(odd))

    def prepared(self, name: str, operations: Sequence[Operation]) -> tuple[Place, State]:
        """Give a place in which operations have been carried out, and what is there."""
        place = self.place(name)
        with opened(place) as core:
            state = carry_out(core, {}, operations)
            assert state == state_of(core, place)
        return place, state


def copied(place: Place, name: str) -> Place:
    """Copy a place as it is, devices and attributes included."""
    target = place.root.parent.with_name(name) / "root"
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "--archive", place.root, target], check=True)
    return attrs.evolve(place, root=target)


def possible(state: State, operations: Operations, report: Report) -> list[State]:
    """Give every state that the records may be in after a core has died.

    Whatever was answered is in all of them; each operation that was not answered may have been
    carried out or not. Nobody has put anything into a snapshot that was not answered, or that two
    callers were busy with.

    Raises:
        AssertionError: an answer was another than the model's.
    """
    at = 0
    states = [state]
    for together in operations:
        answered = [report.answers.get(at + number) for number in range(len(together))]
        at += len(together)
        after: list[State] = []
        for before in states:
            after += _outcomes(before, together, answered)
        states = after
    return states


def _outcomes(
    before: State, together: tuple[Operation, ...], answered: Sequence[str | None]
) -> list[State]:
    found: list[State] = []
    numbers = range(len(together))
    unanswered = [n for n in numbers if answered[n] is None]
    carried = (
        [()]
        if not unanswered
        else [
            order
            for count in range(len(unanswered) + 1)
            for order in permutations(unanswered, count)
        ]
    )
    wrong = []
    for extra in carried:
        for order in permutations([n for n in numbers if answered[n] is not None] + [*extra]):
            state, right = before, True
            for number in order:
                answer, after = together[number].apply(state)
                if answered[number] is None or len(together) > 1:
                    after = _untouched(state, after)
                if answered[number] not in {None, answer}:
                    wrong.append((together[number], answered[number], answer))
                    right = False
                state = after
            if right:
                found.append(state)
    assert found, f"unexpected answers: {wrong}"
    return found


def _untouched(before: State, after: State) -> State:
    return {
        name: attrs.evolve(entry, payload="")
        if name not in before and entry.payload == name
        else entry
        for name, entry in after.items()
    }


def check(
    bench: Bench,
    place: Place,
    operations: Operations,
    state: State,
    report: Report,
    *,
    serve: bool = True,
) -> State:
    """Start a core where another one has died, and check everything.

    Args:
        bench: what trials need.
        place: where it died.
        operations: what it was asked.
        state: what it had before.
        report: what it answered.
        serve: whether to ask for the last operations again, clean up and so on.

    Returns:
        What is there now.
    """
    candidates = possible(state, operations, report)
    try:
        with opened(place) as core:
            found = check_start(core, place, bench.companions)
            assert found in candidates, f"{found} is none of {candidates}"
            if serve:
                for operation in operations[-1] if operations else ():
                    found = _repeated(core, operation, found)
                check_service(core, place, found)
    except Exception as error:
        error.add_note(f"{operations} had answered {report.answers} and died {report.died}")
        raise
    return found


def _repeated(core: Core, operation: Operation, state: State) -> State:
    """Ask again, as containerd does or may do."""
    expected, after = operation.apply(state)
    assert expected == operation.answer(core, state)
    if expected == OK:
        after = _untouched(state, after)
    return after


def die_everywhere(
    bench: Bench, place: Place, operations: Operations, state: State, name: str
) -> int:
    """Carry operations out again and again, and die each time one moment later.

    Args:
        bench: what trials need.
        place: where; it stays as it is.
        operations: what is asked; none for a start alone.
        state: what is there before.
        name: of the directory to work in.

    Returns:
        At how many moments it died.
    """
    deadly = 0
    while True:
        deadly += 1
        there = copied(place, name)
        report = run_in_child(there, operations, state, deadly)
        check(bench, there, operations, state, report)
        if not report.died:
            return deadly - 1
