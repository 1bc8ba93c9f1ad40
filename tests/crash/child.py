"""A core in a process of its own, which may die at a step."""

import json
import os
import signal
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence

import attrs

from .core import Core, Place, opened
from .operations import Operation, unpack
from .steps import Steps
from .world import OK, State

_PATIENCE = 120
"""Seconds after which a child has certainly lost its way."""


@attrs.define
class Report:
    """What a child told before it ended.

    Attributes:
        answers: of its operations, by their place.
        died: the moment at which it died; empty if it did not.
        seen: how many moments passed while it counted, if it did not die.
    """

    answers: dict[int, str] = attrs.field(factory=dict)
    died: str = ""
    seen: int = 0


def run_in_child(
    place: Place, operations: Sequence[tuple[Operation, ...]], state: State, deadly: int
) -> Report:
    """Start a core and have it carry out operations; it counts moments during the last ones.

    Args:
        place: where.
        operations: one after the other; the last ones, if they are several, at the same time, and
            nobody uses what these give. If there are none, moments are counted during the start.
        state: what the core has before.
        deadly: the moment at which it dies; 0 for never.

    Returns:
        What was answered, which containerd has heard.

    Raises:
        AssertionError: something else went wrong in it.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        _be_child(writing, place, operations, state, deadly)
    os.close(writing)
    report = Report()
    with os.fdopen(reading) as lines:
        for line in lines:
            match json.loads(line):
                case ["answer", at, answer]:
                    report.answers[at] = answer
                case ["died", words]:
                    report.died = words
                case ["done", seen]:
                    report.seen = seen
                case ["failed", words]:
                    raise AssertionError(words)
    _, status = os.waitpid(pid, 0)
    assert 0 == os.waitstatus_to_exitcode(status)
    return report


def _be_child(
    writing: int,
    place: Place,
    operations: Sequence[tuple[Operation, ...]],
    state: State,
    deadly: int,
) -> None:
    def tell(*words: object) -> None:
        # One write, so that no line is torn when the process dies.
        os.write(writing, (json.dumps(words) + "\n").encode())

    def die(words: str) -> None:
        tell("died", words)
        os._exit(0)

    try:
        signal.alarm(_PATIENCE)
        steps = Steps(die)
        _work(steps, place, operations, state, deadly, tell)
        tell("done", steps.seen)
    except BaseException:  # noqa: BLE001 - told to the parent
        tell("failed", traceback.format_exc())
    os._exit(0)


def _work(  # noqa: PLR0917 - what a child is given
    steps: Steps,
    place: Place,
    operations: Sequence[tuple[Operation, ...]],
    state: State,
    deadly: int,
    tell: Callable[..., None],
) -> None:
    if not operations:
        steps.arm(deadly)
    with opened(place, steps) as core:
        steps.disarm()
        at = 0
        for together in operations:
            if together is operations[-1]:
                steps.arm(deadly)
            answers = _at_once(core, together, state)
            for number, answer in sorted(answers.items()):
                tell("answer", at + number, answer)
            steps.disarm()
            at += len(together)
            if together is not operations[-1] or len(together) == 1:
                answer, after = together[0].apply(state)
                if answer == OK:
                    unpack(core, state, after)
                state = after


def _at_once(core: Core, operations: tuple[Operation, ...], state: State) -> Mapping[int, str]:
    """Carry operations out, each in a thread of its own if there are several."""
    if len(operations) == 1:
        return {0: operations[0].answer(core, state)}
    answers: dict[int, str] = {}
    together = threading.Barrier(len(operations))

    def call(number: int) -> None:
        together.wait()
        try:
            answers[number] = operations[number].answer(core, state)
        except BaseException:  # noqa: BLE001 - it is no answer that anybody expects
            answers[number] = traceback.format_exc()

    threads = [threading.Thread(target=call, args=(n,)) for n in range(len(operations))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
