"""A circuit beside a source that breaks and mends, driven through any sequence."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cvmfs_snapshotter.domain.circuit import (
    DOUBT_SECONDS,
    FAILURES,
    LONGEST_PAUSE,
    Circuit,
    Operation,
    State,
    cause_of,
    judge,
)
from cvmfs_snapshotter.domain.layer import Digest, Miss, Reason

LAYERS = [Digest(letter * 64) for letter in "abcdef"]
FRESH = [Digest(digit * 64) for digit in "123"]


class CircuitMachine(RuleBasedStateMachine):
    """The model is the source: dead or alive, with servers or without, and a memory."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.circuit = Circuit(0.0)
        self.dead = False
        self.cut_off = False
        self.prefixes_in_memory = False
        self.in_memory: set[Digest] = set()
        self.damaged: set[Digest] = set()
        self.row = 0
        self.cut_off_since_opening = False

    def identify(self) -> Miss | None:
        """Answer from memory as long as the client lives."""
        return Miss(Reason.DISCONNECTED, "dead") if self.dead else None

    def look(self, digest: Digest) -> Miss | None:
        """Look up as a CVMFS client does."""
        if self.dead:
            return Miss(Reason.DISCONNECTED, "dead")
        if digest in self.damaged:
            return Miss(Reason.INPUT_OUTPUT, "damaged")
        if digest in FRESH:
            out_of_reach = self.cut_off and not self.prefixes_in_memory
            return Miss(Reason.INPUT_OUTPUT if out_of_reach else Reason.ABSENT, "fresh")
        if self.cut_off and digest not in self.in_memory:
            return Miss(Reason.INPUT_OUTPUT, "cut off")
        self.in_memory.add(digest)
        return None

    @rule(layer=st.sampled_from(LAYERS), chance=st.floats(0, 1, exclude_max=True))
    def request(self, layer: Digest, chance: float) -> None:
        """Look a layer up unless that is refused."""
        if self.circuit.refuses:
            return
        suspect = layer in self.circuit.suspects
        miss = self.look(layer)
        cause = cause_of(miss) if miss else None
        before = self.circuit
        if cause is None:
            self.circuit = before.after_success(Operation.LOOK_UP, [layer], started=self.now)
            self.row = 0
            assert layer not in self.circuit.suspects
        else:
            self.circuit = before.after_failure(
                cause, layer, started=self.now, now=self.now, chance=chance
            )
            self.row += not suspect
        assert (self.row >= FAILURES) == self.circuit.refuses
        if self.circuit.refuses:
            self.cut_off_since_opening = self.cut_off

    @rule()
    def say_who_it_is(self) -> None:
        """Touch the root, which may be answered from memory."""
        miss = self.identify()
        cause = cause_of(miss, Operation.IDENTITY) if miss else None
        refused = self.circuit.refuses
        failing_look_ups = self.circuit.failures and (self.circuit.operation is Operation.LOOK_UP)
        if cause is None:
            self.circuit = self.circuit.after_success(Operation.IDENTITY, started=self.now)
            if not refused and not failing_look_ups:
                self.row = 0
        else:
            self.circuit = self.circuit.after_failure(
                cause, None, started=self.now, now=self.now, chance=0.0
            )
            if not refused:
                self.row += 1
                self.cut_off_since_opening = self.cut_off

    @precondition(lambda self: self.circuit.refuses)
    @rule(chance=st.floats(0, 1, exclude_max=True))
    def try_it(self, chance: float) -> None:
        """Wait for the trial and carry it out."""
        self.now = max(self.now, self.circuit.next_try)
        trial = self.circuit.trial(self.now)
        assert trial is not None
        opened, doubts = self.circuit.since, self.circuit.doubts
        self.circuit = self.circuit.during_trial()
        assert self.circuit.trial(self.now) is None
        verdict = judge(trial, self.identify, self.look, FRESH)
        self.circuit = self.circuit.after_trial(verdict, now=self.now, chance=chance)
        if self.circuit.refuses:
            return
        self.row = 0
        assert not self.dead
        weak = self.circuit.doubts > doubts
        if trial.operation is Operation.LOOK_UP and self.cut_off and not weak:
            # A layer that failed was in no memory then; while the servers were out of reach all
            # the time it cannot have come there.
            assert not self.cut_off_since_opening
        if weak and (doubts or len(trial.layers) > 1):
            assert self.now - opened >= DOUBT_SECONDS

    @rule(seconds=st.floats(0, 900))
    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds

    @rule()
    def die(self) -> None:
        """Kill the client, whose memory goes with it."""
        self.dead = True
        self.in_memory.clear()

    @rule()
    def mount(self) -> None:
        """Start the client."""
        self.dead = False

    @rule(prefixes_in_memory=st.booleans())
    def cut(self, *, prefixes_in_memory: bool) -> None:
        """Take the servers away."""
        self.cut_off = True
        self.prefixes_in_memory = prefixes_in_memory

    @rule()
    def reach(self) -> None:
        """Let the servers be reached again."""
        self.cut_off = self.cut_off_since_opening = False

    @rule(layer=st.sampled_from(LAYERS))
    def damage(self, layer: Digest) -> None:
        """Break a single layer."""
        self.damaged.add(layer)

    @rule()
    def recover(self) -> None:
        """Mend everything: the next trials close it, whatever was before."""
        self.mount()
        self.reach()
        self.damaged.clear()
        if self.circuit.refuses:
            self.try_it(0.0)
        assert not self.circuit.refuses

    @invariant()
    def consistent(self) -> None:
        """Whoever reads it is told a state, a cause and times that fit one another."""
        circuit = self.circuit
        assert State.TRYING is not circuit.state
        assert (circuit.failures > 0) == (circuit.cause is not None)
        assert circuit.since <= self.now
        assert not set(circuit.layers) & set(circuit.suspects)
        if circuit.refuses:
            assert FAILURES == circuit.failures
            assert circuit.next_try <= self.now + LONGEST_PAUSE
            assert (circuit.operation is Operation.LOOK_UP) == bool(circuit.layers)


TestCircuit = CircuitMachine.TestCase
