"""The circuit of a source, case by case; ``test_circuit_machine`` drives it through sequences."""

from collections.abc import Sequence

import attrs
import pytest

from cvmfs_snapshotter.domain.circuit import (
    DOUBT_SECONDS,
    FIRST_PAUSE,
    KEPT_LAYERS,
    LONGEST_PAUSE,
    Cause,
    Circuit,
    Operation,
    Result,
    State,
    Trial,
    Verdict,
    cause_of,
    judge,
    pause,
    says_nothing,
)
from cvmfs_snapshotter.domain.layer import Digest, Miss, Reason

A, B, C = (Digest(letter * 64) for letter in "abc")
FRESH = [Digest(digit * 64) for digit in "123"]
IO = Cause(Operation.LOOK_UP, Reason.INPUT_OUTPUT, "I/O error")
DEAD = Cause(Operation.IDENTITY, Reason.DISCONNECTED, "the client is dead")
RECOVERED = Verdict(Result.RECOVERED)
FAILING = Verdict(Result.FAILING, IO)
DOUBTFUL = Verdict(Result.DOUBTFUL, IO)


def failed(circuit: Circuit, now: float, *layers: Digest, cause: Cause = IO) -> Circuit:
    """Let look-ups fail, one after another, all at one time."""
    for layer in layers:
        circuit = circuit.after_failure(cause, layer, started=now, now=now, chance=0.0)
    return circuit


def opened(*layers: Digest, cause: Cause = IO) -> Circuit:
    """Give a circuit that opened at 0."""
    return failed(Circuit(0.0), 0.0, *(layers or (A, B)), cause=cause)


def tried(circuit: Circuit, verdict: Verdict, now: float) -> Circuit:
    """Let the trial that is due at a time end at once."""
    assert circuit.trial(now) is not None
    return circuit.during_trial().after_trial(verdict, now=now, chance=0.0)


@pytest.mark.parametrize(
    ("reason", "operation"),
    [
        (Reason.NOT_MOUNTED, Operation.IDENTITY),
        (Reason.WRONG_REPOSITORY, Operation.IDENTITY),
        (Reason.DISCONNECTED, Operation.IDENTITY),
        (Reason.INPUT_OUTPUT, Operation.LOOK_UP),
        (Reason.STALE, Operation.LOOK_UP),
        (Reason.LOOP, Operation.LOOK_UP),
        (Reason.DENIED, Operation.LOOK_UP),
        (Reason.FAILED, Operation.LOOK_UP),
        (Reason.SLOW, Operation.LOOK_UP),
    ],
)
def test_what_counts_against_a_source(reason: Reason, operation: Operation) -> None:
    """Each trouble has the class of operation that has to work again."""
    assert Cause(operation, reason, "x") == cause_of(Miss(reason, "x"))
    assert Cause(Operation.IDENTITY, reason, "x") == cause_of(
        Miss(reason, "x"), Operation.IDENTITY
    )


@pytest.mark.parametrize("reason", [r for r in Reason if r.healthy or r is Reason.UNPROTECTED])
def test_what_counts_for_a_source(reason: Reason) -> None:
    """A missing layer, or one that is refused for what it is, says nothing against its source."""
    assert cause_of(Miss(reason, "x")) is None
    assert not says_nothing(reason)


def test_every_reason_is_one_of_three() -> None:
    """A reason counts for a source, against it, or says nothing; a new one has to be judged."""
    against = {reason for reason in Reason if cause_of(Miss(reason, "x")) is not None}
    nothing = {reason for reason in Reason if says_nothing(reason)}

    assert {Reason.BUSY, Reason.CIRCUIT} == nothing
    assert {
        Reason.NOT_MOUNTED,
        Reason.WRONG_REPOSITORY,
        Reason.INPUT_OUTPUT,
        Reason.DISCONNECTED,
        Reason.STALE,
        Reason.LOOP,
        Reason.DENIED,
        Reason.FAILED,
        Reason.SLOW,
    } == against


@pytest.mark.parametrize("reason", [Reason.BUSY, Reason.CIRCUIT])
def test_what_says_nothing(reason: Reason) -> None:
    """Trouble of the daemon itself is no outcome of the source at all."""
    assert cause_of(Miss(reason, "x")) is None
    assert says_nothing(reason)


def test_two_failures_open() -> None:
    """The second failure in a row opens it, and not the first."""
    once = failed(Circuit(0.0), 1.0, A)
    twice = failed(once, 2.0, B)

    assert (State.CLOSED, 1, IO, False) == (once.state, once.failures, once.cause, once.refuses)
    assert (State.OPEN, 2, IO, True) == (twice.state, twice.failures, twice.cause, twice.refuses)
    assert (2.0, 2.0 + FIRST_PAUSE, (B, A)) == (twice.since, twice.next_try, twice.layers)


def test_one_layer_is_enough() -> None:
    """The same layer that fails twice opens it too: nothing else may be asked for."""
    assert State.OPEN is opened(A, A).state


def test_success_between_failures() -> None:
    """Failures that are not in a row do not add up."""
    circuit = failed(Circuit(0.0), 1.0, A).after_success(Operation.LOOK_UP, (B,), started=2.0)

    assert Circuit(0.0) == circuit
    assert State.CLOSED is failed(circuit, 3.0, A).state


def test_root_in_memory_is_no_success_between() -> None:
    """A client that says who it is does not make good for look-ups that fail."""
    circuit = failed(Circuit(0.0), 1.0, A).after_success(Operation.IDENTITY, started=2.0)

    assert State.OPEN is failed(circuit, 3.0, B).state


def test_identity_makes_good_for_identity() -> None:
    """A client that was dead and says who it is begins anew."""
    circuit = failed(Circuit(0.0), 1.0, A, cause=DEAD).after_success(
        Operation.IDENTITY, started=2.0
    )

    assert Circuit(0.0) == circuit


@pytest.mark.parametrize(
    ("causes", "operation"),
    [
        ((DEAD, DEAD), Operation.IDENTITY),
        ((IO, DEAD), Operation.LOOK_UP),
        ((DEAD, IO), Operation.LOOK_UP),
        ((IO, IO), Operation.LOOK_UP),
    ],
)
def test_class_that_opened(causes: Sequence[Cause], operation: Operation) -> None:
    """Of two classes of failures the one that is harder to make good for counts."""
    circuit = Circuit(0.0)
    for cause in causes:
        circuit = failed(circuit, 0.0, A, cause=cause)
    trial = circuit.trial(FIRST_PAUSE)

    assert trial is not None
    assert operation is trial.operation
    assert ((A,) if IO in causes else ()) == trial.layers


def test_outcomes_from_before() -> None:
    """What began before it was closed says nothing about the time after."""
    circuit = tried(opened(), RECOVERED, 9.0)
    late = circuit
    for _ in range(3):
        late = late.after_failure(IO, A, started=8.9, now=10.0, chance=0.0)
    once = failed(circuit, 9.0, A)

    assert circuit == late
    assert once == once.after_success(Operation.LOOK_UP, (A,), started=8.9)


def test_outcomes_while_open() -> None:
    """While it is open only trials count: a layer that is in memory would be a hit."""
    for circuit in (opened(), opened().during_trial()):
        assert circuit == circuit.after_success(Operation.LOOK_UP, (A,), started=0.5)
        assert circuit == failed(circuit, 0.5, C)


def test_when_a_trial_is_due() -> None:
    """A trial is due after the pause, and one at a time."""
    circuit = opened()

    assert circuit.trial(FIRST_PAUSE - 0.01) is None
    assert Trial(Operation.LOOK_UP, (B, A)) == circuit.trial(FIRST_PAUSE)
    assert circuit.during_trial().trial(FIRST_PAUSE) is None
    assert State.TRYING is circuit.during_trial().state
    assert Circuit(0.0).trial(1e9) is None


def test_pauses() -> None:
    """They double up to a bound, however long it lasts, and chance takes up to a half off."""
    assert [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] == [pause(n, 0.0) for n in range(8)]
    assert LONGEST_PAUSE == pause(10**6, 0.0)
    assert 30.0 < pause(10, 0.999) < 30.1


def test_back_off() -> None:
    """Every trial that fails makes the next one come later; the age and the cause stay true."""
    circuit, now, pauses = opened(), 0.0, []
    for _ in range(8):
        pauses.append(circuit.next_try - now)
        now = circuit.next_try
        circuit = tried(circuit, FAILING, now)

    assert [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] == pauses
    assert (State.OPEN, 0.0, 8, IO) == (circuit.state, circuit.since, circuit.tries, circuit.cause)


def test_recovery() -> None:
    """A trial that succeeds closes it, and it takes two failures again to open it."""
    circuit = tried(opened(), RECOVERED, 7.0)

    assert Circuit(7.0) == circuit
    assert State.CLOSED is failed(circuit, 8.0, A).state
    again = failed(circuit, 8.0, A, B)
    assert 8.0 + FIRST_PAUSE == again.next_try


def test_cause_follows_trials() -> None:
    """The cause is what the latest trial met; one that could not ask leaves it."""
    circuit = tried(opened(), Verdict(Result.FAILING, DEAD), 1.0)

    assert DEAD == circuit.cause
    assert Operation.LOOK_UP is circuit.operation
    assert DEAD == tried(circuit, Verdict(Result.FAILING), 9.0).cause


def test_kept_layers() -> None:
    """Of many failed layers the latest are kept, each of them once."""
    circuit = attrs.evolve(Circuit(0.0), failures=1, layers=tuple(FRESH), cause=IO)
    circuit = failed(circuit, 1.0, FRESH[1])

    assert (FRESH[1], FRESH[0], FRESH[2]) == circuit.layers
    full = attrs.evolve(Circuit(0.0), failures=1, layers=(*FRESH, A), cause=IO)
    assert KEPT_LAYERS == len(failed(full, 1.0, B).layers)
    assert B == failed(full, 1.0, B).layers[0]


def test_one_broken_layer() -> None:
    """A layer that alone is at fault does not keep its source closed, and does not count again."""
    circuit = tried(opened(A, A), DOUBTFUL, 1.0)

    assert (State.CLOSED, (A,)) == (circuit.state, circuit.suspects)
    assert circuit == failed(circuit, 2.0, A, A, A)
    assert State.OPEN is failed(circuit, 2.0, A, B, A, C).state


def test_mended_layer() -> None:
    """A suspect that is found again counts like any other."""
    circuit = tried(opened(A, A), DOUBTFUL, 1.0)
    circuit = circuit.after_success(Operation.LOOK_UP, (A,), started=2.0)

    assert () == circuit.suspects
    assert State.OPEN is failed(circuit, 3.0, A, A).state


def test_several_broken_layers() -> None:
    """Several layers are taken to be at fault only after a long time."""
    circuit = tried(opened(A, B), DOUBTFUL, DOUBT_SECONDS - 1.0)
    assert State.OPEN is circuit.state

    circuit = tried(circuit, DOUBTFUL, circuit.next_try)
    assert (State.CLOSED, {A, B}) == (circuit.state, set(circuit.suspects))


def test_weak_signs_do_not_flap() -> None:
    """With servers down and names in memory it opens ever more seldom, at last in 160 minutes."""
    circuit, now, openings = Circuit(0.0), 0.0, 0
    names = (Digest(f"{number:064x}") for number in range(10**6))
    while now < 24 * 3600:
        layer = next(names)
        circuit = failed(circuit, now, layer, layer)
        openings += 1
        while circuit.refuses:
            now = circuit.next_try
            circuit = tried(circuit, DOUBTFUL, now)

    assert openings <= 15


def test_strong_sign_ends_doubts() -> None:
    """Once a failed layer answers, the next doubt is as good as the first."""
    circuit = tried(opened(A, A), DOUBTFUL, 1.0)
    circuit = tried(failed(circuit, 2.0, B, B), RECOVERED, 9.0)

    assert State.CLOSED is tried(failed(circuit, 10.0, C, C), DOUBTFUL, 11.0).state


def test_a_suspect_that_answers_ends_doubts() -> None:
    """The same holds when it answers while the circuit is closed."""
    circuit = tried(opened(A, A), DOUBTFUL, 1.0)
    assert 1 == circuit.doubts

    assert 0 == circuit.after_success(Operation.LOOK_UP, (A,), started=2.0).doubts
    assert 1 == circuit.after_success(Operation.LOOK_UP, (B,), started=2.0).doubts


def test_doubts_are_forgotten() -> None:
    """One damaged layer a fortnight costs its source a trial each time, and no hours."""
    circuit, now = Circuit(0.0), 0.0
    for number in range(20):
        now += 14 * 24 * 3600
        layer = Digest(f"{number:064x}")
        circuit = failed(circuit, now, layer, layer)
        circuit = tried(circuit, DOUBTFUL, circuit.next_try)
        assert State.CLOSED is circuit.state


class Source:
    """Answers trials, and remembers what it was asked."""

    def __init__(self, **answers: Reason) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def identify(self) -> Miss | None:
        """Say who it is."""
        return self._answer("root")

    def look(self, digest: Digest) -> Miss | None:
        """Look a layer up."""
        return self._answer(digest.hex[0])

    def _answer(self, name: str) -> Miss | None:
        self.asked.append(name)
        name = "fresh" if name in "123" else name
        reason = self.answers.get(name, Reason.HIT)
        return None if reason is Reason.HIT else Miss(reason, reason.value)

    def judge(self, trial: Trial) -> tuple[Result, Reason | None]:
        """Carry a trial out; give the result and the reason of the cause."""
        verdict = judge(trial, self.identify, self.look, FRESH)
        return verdict.result, verdict.cause.reason if verdict.cause else None


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, (Result.RECOVERED, None)),
        ({"root": Reason.DISCONNECTED}, (Result.FAILING, Reason.DISCONNECTED)),
        ({"root": Reason.SLOW}, (Result.FAILING, Reason.SLOW)),
        ({"root": Reason.BUSY}, (Result.FAILING, None)),
    ],
)
def test_identity_trial(
    answers: dict[str, Reason], expected: tuple[Result, Reason | None]
) -> None:
    """A dead client has to say who it is, and nothing else is asked."""
    source = Source(**answers)

    assert expected == source.judge(Trial(Operation.IDENTITY))
    assert ["root"] == source.asked


ABSENT, EIO, SLOW, BUSY = Reason.ABSENT, Reason.INPUT_OUTPUT, Reason.SLOW, Reason.BUSY


@pytest.mark.parametrize(
    ("answers", "expected", "asked"),
    [
        ({"b": ABSENT}, (Result.RECOVERED, None), "b"),
        ({"b": EIO}, (Result.RECOVERED, None), "ba"),
        ({"b": EIO, "a": EIO, "fresh": EIO}, (Result.FAILING, EIO), "ba1"),
        ({"b": EIO, "a": EIO, "fresh": BUSY}, (Result.FAILING, EIO), "ba1"),
        ({"b": EIO, "a": EIO, "fresh": ABSENT}, (Result.DOUBTFUL, EIO), "ba123"),
        ({"b": SLOW, "fresh": ABSENT}, (Result.DOUBTFUL, SLOW), "b123"),
        ({"b": SLOW, "fresh": SLOW}, (Result.FAILING, SLOW), "b1"),
        ({"b": BUSY}, (Result.FAILING, None), "b"),
        ({"b": EIO, "a": SLOW, "fresh": SLOW}, (Result.FAILING, SLOW), "ba1"),
    ],
)
def test_look_up_trial(
    answers: dict[str, Reason], expected: tuple[Result, Reason | None], asked: str
) -> None:
    """A layer that failed has to answer; the root is not asked, and what hangs is not repeated."""
    source = Source(**answers)

    assert expected == source.judge(Trial(Operation.LOOK_UP, (B, A)))
    assert list(asked) == source.asked
