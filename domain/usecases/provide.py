"""Recording a layer that a source has as a committed snapshot."""

from collections.abc import Mapping
from enum import Enum, auto

import attrs

from .. import labels as label_rules
from ..companions import Companion, Plan
from ..errors import AlreadyExistsError
from ..events import LayerDecided
from ..layer import Digest, Hit, Miss, Reason
from ..ports.store import Records, Transaction
from ..snapshot import Snapshot, provide, stage
from .base import Base, require_unchanged
from .context import Context
from .decide import Accepted, decide


def provide_if_published(
    context: Context, key: str, base: Base, labels: Mapping[str, str], until: float
) -> Snapshot | Miss:
    """Decide on the layer that a Prepare asks for, and record it if it is used.

    Args:
        context: the ports.
        key: key of the Prepare.
        base: what the layer stands on.
        labels: checked labels, the target among them.
        until: deadline for look-ups on the monotonic clock, seconds.

    Returns:
        The active snapshot of a layer that was staged; or why the layer is not used.

    Raises:
        AlreadyExistsError: the layer has been provided; or the key is taken.
        NotFoundError: the parent was removed meanwhile.
        UnavailableError: a layer that it would stand on is out of reach.
    """
    started = context.clock.monotonic()
    decided = decide(context, key, base, labels, until)
    done = decided if isinstance(decided, Miss) else _record(context, key, base, labels, decided)
    context.events.record(
        LayerDecided(
            key=key,
            parent=base.parent.name if base.parent else "",
            target=labels[label_rules.TARGET],
            digest=labels.get(label_rules.LAYER_DIGEST, ""),
            outcome=done if isinstance(done, Miss) else done.hit,
            seconds=context.clock.monotonic() - started,
            image=labels.get(label_rules.IMAGE, ""),
            above_local=any(snapshot.layer is None for snapshot in base.chain),
        )
    )
    if isinstance(done, Miss):
        return done
    if done.staged is None:
        raise AlreadyExistsError(
            f"target snapshot {labels[label_rules.TARGET]!r} is provided from source "
            f"{done.hit.layer.source!r}"
        )
    return done.staged


@attrs.frozen
class _Recorded:
    """A hit that is recorded; as an active snapshot, or as a committed one."""

    hit: Hit
    staged: Snapshot | None = None


class _Result(Enum):
    RECORDED = auto()
    THERE_ALREADY = auto()
    NAME_TAKEN = auto()
    COMPANION_GONE = auto()


@attrs.define
class _Attempt:
    """One try to record a hit; tells what was made for it and is not in use after all."""

    key: str
    base: Base
    snapshot: Snapshot
    fingerprint: str = ""
    companion: Companion | None = None
    made_companion: bool = False

    def run(self, transaction: Transaction) -> tuple[_Result, Companion | None]:
        snapshot = self.snapshot
        require_unchanged(transaction, self.base)
        there, provided = transaction.get_with_remote(
            self.key, snapshot.parent_identifier, snapshot.target
        )
        if there is not None:
            raise AlreadyExistsError(f"snapshot {self.key!r} exists already")
        if provided is not None and not snapshot.staged:
            return _Result.THERE_ALREADY, None
        if self.companion is None:
            return self._insert(transaction, snapshot), None
        present = transaction.find_companion(self.fingerprint)
        if present is None and not self.made_companion:
            # Cleanup took it since it was found.
            return _Result.COMPANION_GONE, None
        companion = present or self.companion
        result = self._insert(transaction, attrs.evolve(snapshot, companion=companion))
        if result is _Result.RECORDED and present is None:
            transaction.add_companion(companion, self.fingerprint)
        return result, companion if result is _Result.RECORDED else None

    @staticmethod
    def _insert(transaction: Transaction, snapshot: Snapshot) -> _Result:
        try:
            transaction.insert(snapshot)
        except AlreadyExistsError:
            return _Result.NAME_TAKEN
        return _Result.RECORDED


def _record(
    context: Context, key: str, base: Base, labels: Mapping[str, str], accepted: Accepted
) -> _Recorded | Miss:
    hit = accepted.hit
    if accepted.plan is None:
        return _Recorded(hit)
    while True:
        result, snapshot = _attempt(context, key, base, labels, accepted)
        if result is _Result.NAME_TAKEN:
            return Miss(
                Reason.NAME_TAKEN,
                "the name of the snapshot that would be made belongs to another one",
                hit.layer.source,
            )
        if result is not _Result.COMPANION_GONE:
            return _Recorded(hit, snapshot if snapshot.staged else None)


def _attempt(
    context: Context, key: str, base: Base, labels: Mapping[str, str], accepted: Accepted
) -> tuple[_Result, Snapshot]:
    target = Digest.parse(labels[label_rules.TARGET])
    if target is None or accepted.plan is None:
        raise AssertionError("a hit that is used has a target and a plan")
    layer, now = accepted.hit.layer, context.clock.now()
    identifier = context.store.new_identifier()
    if accepted.staged:
        staged = stage(layer, key, target, labels, now=now)
        snapshot = attrs.evolve(staged, identifier=identifier)
    else:
        snapshot = provide(layer, target, base.parent, labels, now=now, identifier=identifier)
    attempt = _Attempt(key, base, snapshot)
    used = None
    try:
        if accepted.plan:
            attempt.fingerprint = accepted.plan.fingerprint_for(layer.digest)
            _find_or_build(context, accepted.plan, attempt)
        result, used = context.store.write(attempt.run)
    finally:
        if attempt.made_companion and attempt.companion is not None and used != attempt.companion:
            context.companions.remove(attempt.companion.number)
    return result, snapshot if used is None else attrs.evolve(snapshot, companion=used)


def _find_or_build(context: Context, plan: Plan, attempt: _Attempt) -> None:
    def find(records: Records) -> Companion | None:
        return records.find_companion(attempt.fingerprint)

    attempt.companion = context.store.read(find)
    if attempt.companion is None:
        number = context.store.new_identifier()
        attempt.companion = Companion(number, above=bool(plan.above), below=bool(plan.below))
        attempt.made_companion = True
        context.companions.build(number, plan)
