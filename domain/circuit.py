"""The circuit breaker of a source, as a pure state machine over outcomes and times.

While a source is broken nobody should wait for it: after ``FAILURES`` failures in a row its
circuit opens and layers on it are refused at once. From then on a trial is due now and then, with
growing pauses, and success closes the circuit.

Not every success does. A CVMFS client answers for its root, and for all that it has in memory,
also while its servers are out of reach; so each failure belongs to a class of operation, and only
what proves that class to work again closes the circuit:

* ``IDENTITY``: the client is dead, or something else or nothing is mounted. The root says again
  who it is.
* ``LOOK_UP``: looking a layer up failed or hung. One of the layers that failed is looked up again;
  it is in no memory, for then it would not have failed.

It may be that not the source is at fault but the layers that failed (a damaged catalog). The sign
of it is that they still fail while names that nobody has asked for before are answered. That sign
is weak, since a client can answer such names from memory too: for a single layer it is good enough
the first time; otherwise only after ``DOUBT_SECONDS``, and after twice as long each further time.
Layers that are at fault themselves are *suspects*: their failures no longer open the circuit.

Times are seconds on a monotonic clock. Chance comes in as a number from 0 to 1, 1 excluded.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Self

import attrs

from .layer import Digest, Miss, Reason

FAILURES = 2
"""Failures in a row that open a circuit."""

FIRST_PAUSE = 1.0
"""Longest time in seconds between the opening and the first trial."""

LONGEST_PAUSE = 60.0
"""Longest time in seconds between two trials; it doubles from the first one up to this."""

DOUBT_SECONDS = 600.0
"""How long a circuit stays open at least before several layers are taken to be at fault."""

KEPT_LAYERS = 4
"""Failed layers that a trial asks for again; the latest ones are kept."""

KEPT_SUSPECTS = 64
"""Layers that are known to be at fault themselves; the latest ones are kept."""

FRESH_NAMES = 3
"""Names that nobody has asked for before, to tell a broken source from broken layers."""

_MOST_DOUBLINGS = 16

_MOST_DOUBTS = 4


class State(Enum):
    """What a circuit does with requests; the value stands in logs and answers."""

    CLOSED = "closed"
    OPEN = "open"
    TRYING = "trying"


class Operation(Enum):
    """A class of operation on a source; a ``LOOK_UP`` proves more than an ``IDENTITY``."""

    IDENTITY = "identity"
    LOOK_UP = "look-up"


_OF_IDENTITY = frozenset({Reason.NOT_MOUNTED, Reason.WRONG_REPOSITORY, Reason.DISCONNECTED})

_REFUSED = frozenset({Reason.UNPROTECTED})
"""Answers of a source that are not used: to wait would change nothing about them."""

_SAYS_NOTHING = frozenset({Reason.BUSY, Reason.CIRCUIT})
"""Trouble of this daemon's own: nobody has asked the source."""


@attrs.frozen
class Cause:
    """Why an operation failed.

    Attributes:
        operation: the class of operation that has to work again.
        reason: the class of the cause.
        detail: the cause in words.
    """

    operation: Operation
    reason: Reason
    detail: str


def says_nothing(reason: Reason) -> bool:
    """Tell whether an outcome is neither for nor against a source, since it was not asked."""
    return reason in _SAYS_NOTHING


def cause_of(miss: Miss, asked: Operation = Operation.LOOK_UP) -> Cause | None:
    """Tell what a miss says against a source.

    Args:
        miss: the outcome of an operation.
        asked: which operation that was.

    Returns:
        The cause; None if the miss counts for the source (the layer is simply not there, or is
        refused for what it is) or says nothing (see ``says_nothing``).
    """
    if miss.reason.healthy or miss.reason in _REFUSED or says_nothing(miss.reason):
        return None
    operation = Operation.IDENTITY if miss.reason in _OF_IDENTITY else asked
    return Cause(operation, miss.reason, miss.detail)


@attrs.frozen
class Trial:
    """What is to be tried.

    Attributes:
        operation: the class of operation.
        layers: those that failed, the latest first; for a look-up.
    """

    operation: Operation
    layers: tuple[Digest, ...] = ()


class Result(Enum):
    """What a trial has shown."""

    RECOVERED = "recovered"
    FAILING = "failing"
    DOUBTFUL = "doubtful"


@attrs.frozen
class Verdict:
    """How a trial ended.

    Attributes:
        result: what it has shown. ``DOUBTFUL``: the layers fail, other names are answered.
        cause: the latest failure; None if there was none, or nobody could be asked.
    """

    result: Result
    cause: Cause | None = None


def judge(
    trial: Trial,
    identify: Callable[[], Miss | None],
    look: Callable[[Digest], Miss | None],
    fresh: Iterable[Digest],
) -> Verdict:
    """Carry a trial out.

    Args:
        trial: what to try.
        identify: asks the source who it is; gives what is wrong.
        look: looks a layer up; gives the miss, None for a hit.
        fresh: names that nobody has asked for before.

    Returns:
        The verdict. After a layer that hangs no other one that failed is asked, since those may
        hang too; names that nobody asked for tell whether it is the source that hangs.
    """
    if trial.operation is Operation.IDENTITY:
        return _verdict(identify(), Operation.IDENTITY)
    verdict = Verdict(Result.FAILING)
    for digest in trial.layers:
        miss = look(digest)
        verdict = _verdict(miss, Operation.LOOK_UP)
        if verdict.result is Result.RECOVERED or (miss and says_nothing(miss.reason)):
            return verdict
        if miss and miss.reason is Reason.SLOW:
            break
    for digest in fresh:
        if _verdict(look(digest), Operation.LOOK_UP).result is not Result.RECOVERED:
            return verdict
    return Verdict(Result.DOUBTFUL, verdict.cause)


def _verdict(miss: Miss | None, asked: Operation) -> Verdict:
    if miss is None:
        return Verdict(Result.RECOVERED)
    cause = cause_of(miss, asked)
    if cause is None and not says_nothing(miss.reason):
        return Verdict(Result.RECOVERED)
    return Verdict(Result.FAILING, cause)


@attrs.frozen
class Circuit:
    """The circuit of one source at one moment.

    Attributes:
        since: when it was opened, or closed; for one that never opened, when it was made.
        state: what it does with requests.
        failures: in a row, up to now.
        cause: the latest failure of a row, or of a trial; None if the source is well.
        operation: the class of operation that has to work again.
        layers: those that failed, the latest first.
        tries: trials that have begun since it was opened.
        next_try: when the next trial is due; of no meaning unless it is open.
        suspects: layers that are at fault themselves, the latest first.
        doubts: how often it was closed on a weak sign since a strong one was seen.
    """

    since: float
    state: State = State.CLOSED
    failures: int = 0
    cause: Cause | None = None
    operation: Operation = Operation.IDENTITY
    layers: tuple[Digest, ...] = ()
    tries: int = 0
    next_try: float = 0.0
    suspects: tuple[Digest, ...] = ()
    doubts: int = 0

    @property
    def refuses(self) -> bool:
        """Whether requests are refused: it is open, or being tried."""
        return self.state is not State.CLOSED

    def after_success(
        self, operation: Operation, layers: Iterable[Digest] = (), *, started: float
    ) -> Self:
        """Take note of an operation that worked, or found that a layer is simply not there.

        Args:
            operation: its class. One that proves less than what failed changes nothing.
            layers: those that were looked up.
            started: when it began. What began before the circuit was opened or closed says
                nothing about the time after.

        Returns:
            The circuit from now on.
        """
        if self.refuses or started < self.since:
            return self
        if not self.failures and not self.suspects:
            # The usual case, and each remote layer comes by here.
            return self
        suspects = _without(self.suspects, layers)
        if operation is Operation.IDENTITY and self.operation is Operation.LOOK_UP:
            return self
        if not self.failures and suspects == self.suspects:
            return self
        return attrs.evolve(
            self,
            failures=0,
            cause=None,
            operation=Operation.IDENTITY,
            layers=(),
            suspects=suspects,
            # One that answers again was never damaged: the source was at fault.
            doubts=self.doubts if len(suspects) == len(self.suspects) else 0,
        )

    def after_failure(
        self, cause: Cause, layer: Digest | None, *, started: float, now: float, chance: float
    ) -> Self:
        """Take note of an operation that failed.

        Args:
            cause: why.
            layer: the layer that was looked up; None for an operation on the root.
            started: when it began; see ``after_success``.
            now: the time.
            chance: spreads the trials of many nodes.

        Returns:
            The circuit from now on.
        """
        if self.refuses or started < self.since or layer in self.suspects:
            return self
        layers = self.layers
        if layer is not None and cause.operation is Operation.LOOK_UP:
            layers = (layer, *_without(layers, (layer,)))[:KEPT_LAYERS]
        noted = attrs.evolve(
            self,
            failures=self.failures + 1,
            cause=cause,
            operation=_stronger(self.operation, cause.operation),
            layers=layers,
        )
        if noted.failures < FAILURES:
            return noted
        # What was doubted long ago says nothing about today.
        long_ago = now - self.since > DOUBT_SECONDS * 2.0**_MOST_DOUBTS
        return attrs.evolve(
            noted,
            state=State.OPEN,
            since=now,
            tries=0,
            next_try=now + pause(0, chance),
            doubts=0 if long_ago else self.doubts,
        )

    def trial(self, now: float) -> Trial | None:
        """Tell what is to be tried now; None if nothing is due."""
        if self.state is not State.OPEN or now < self.next_try:
            return None
        return Trial(self.operation, self.layers)

    def during_trial(self) -> Self:
        """Take note that the trial which was due has begun."""
        return attrs.evolve(self, state=State.TRYING, tries=self.tries + 1)

    def after_trial(self, verdict: Verdict, *, now: float, chance: float) -> Self:
        """Take note of how the trial ended.

        Args:
            verdict: how.
            now: the time.
            chance: spreads the trials of many nodes.

        Returns:
            The circuit from now on: closed, or open until the next trial.
        """
        if verdict.result is Result.RECOVERED:
            return attrs.evolve(self._closed(now), doubts=0)
        if verdict.result is Result.DOUBTFUL and now >= self.since + self._doubt_seconds():
            suspects = (*self.layers, *_without(self.suspects, self.layers))[:KEPT_SUSPECTS]
            return attrs.evolve(self._closed(now), suspects=suspects, doubts=self.doubts + 1)
        return attrs.evolve(
            self,
            state=State.OPEN,
            cause=verdict.cause or self.cause,
            next_try=now + pause(self.tries, chance),
        )

    def _doubt_seconds(self) -> float:
        if len(self.layers) == 1 and not self.doubts:
            return 0.0
        return DOUBT_SECONDS * 2.0 ** min(self.doubts, _MOST_DOUBTS)

    def _closed(self, now: float) -> Self:
        return attrs.evolve(
            self,
            state=State.CLOSED,
            since=now,
            failures=0,
            cause=None,
            operation=Operation.IDENTITY,
            layers=(),
            tries=0,
            next_try=0.0,
        )


def pause(tries: int, chance: float) -> float:
    """Give the time until the next trial.

    Args:
        tries: how many there were.
        chance: see the module.

    Returns:
        Seconds: twice as long each time, up to ``LONGEST_PAUSE``, less up to a half by chance.
    """
    whole = min(FIRST_PAUSE * 2.0 ** min(tries, _MOST_DOUBLINGS), LONGEST_PAUSE)
    return whole * (1.0 - chance / 2)


def _stronger(one: Operation, other: Operation) -> Operation:
    return Operation.LOOK_UP if Operation.LOOK_UP in {one, other} else Operation.IDENTITY


def _without(layers: tuple[Digest, ...], others: Iterable[Digest]) -> tuple[Digest, ...]:
    leave = frozenset(others)
    return tuple(layer for layer in layers if layer not in leave)
