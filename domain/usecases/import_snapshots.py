"""Taking over the snapshots of a snapshotter in Go."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import attrs

from .. import labels as label_rules
from ..companions import Companion, Plan
from ..errors import InvalidArgumentError, UnavailableError
from ..importing import REMOTE, Files, Imported, ImportPlan, LeftOut, Obstacle, Recorded
from ..layer import Digest, Miss, Reason
from ..ports.store import Transaction
from ..snapshot import Kind, Snapshot, provide
from .base import Base
from .context import Context
from .decide import Accepted, decide

_NOTHING = Plan()

_ATTEMPTS = 5
"""How often a layer is asked for whose names take long to read: the reading goes on meanwhile."""

_WORTH_WAITING = (Reason.SLOW, Reason.BUSY)


def plan_import(
    context: Context, records: Sequence[Recorded], files: Mapping[int, Files], patience: float
) -> ImportPlan:
    """Find out what can be taken over; nothing is recorded but what layers are like.

    A remote snapshot is decided on as if its layer were pulled now, on top of what it stands on.
    What cannot be taken over keeps all that stands on it from being taken over.

    Args:
        context: the ports; its layout is where the files are now.
        records: what was recorded.
        files: for each identifier, what is at the place of its files.
        patience: seconds for each look at a source.
    """
    # Whatever others say, a source that fails may have the layer once it is mended.
    cautious = attrs.evolve(context, failures_first=True)
    return _Planning(cautious, files, patience, records).run()


class _OutError(Exception):
    """A snapshot cannot be taken over."""

    def __init__(self, obstacle: Obstacle, detail: str, *, final: bool = True) -> None:
        super().__init__(detail)
        self.obstacle = obstacle
        self.final = final


class _Planning:
    """One run; knows what has been decided so far."""

    def __init__(
        self,
        context: Context,
        files: Mapping[int, Files],
        patience: float,
        records: Sequence[Recorded],
    ) -> None:
        self._context = context
        self._files = files
        self._patience = patience
        self._records = {record.name: record for record in records}
        self._count = Counter(record.identifier for record in records)
        self._chains: dict[str, tuple[Snapshot, ...]] = {}
        self._imported: list[Imported] = []
        self._left_out: dict[str, LeftOut] = {}
        self._failed: str | None = None
        self._remote: set[tuple[int, str]] = set()

    def run(self) -> ImportPlan:
        for record in self._records.values():
            for each in self._line(record):
                self._decide(each)
        return ImportPlan(tuple(self._imported), tuple(self._left_out.values()))

    def _line(self, record: Recorded) -> list[Recorded]:
        """Give what has to be decided before a record, and the record: the lowest first."""
        line: list[Recorded] = []
        seen: set[str] = set()
        found: Recorded | None = record
        while found is not None and found.name not in seen and not self._decided(found.name):
            line.append(found)
            seen.add(found.name)
            found = self._records.get(found.parent) if found.parent else None
        return line[::-1]

    def _decided(self, name: str) -> bool:
        return name in self._chains or name in self._left_out

    def _decide(self, record: Recorded) -> None:
        try:
            imported = self._take(record)
        except _OutError as out:
            self._left_out[record.name] = LeftOut(record, out.obstacle, str(out), out.final)
            return
        below = self._chains[record.parent] if record.parent else ()
        self._chains[record.name] = (imported.snapshot, *below)
        self._imported.append(imported)

    def _take(self, record: Recorded) -> Imported:
        chain = self._chain_below(record)
        if record.identifier < 1 or self._count[record.identifier] > 1:
            raise _OutError(
                Obstacle.BAD_RECORD, f"its identifier {record.identifier} is not its own"
            )
        try:
            labels = label_rules.checked(record.labels)
        except InvalidArgumentError as error:
            raise _OutError(Obstacle.BAD_RECORD, str(error)) from error
        files = self._files[record.identifier]
        if self._is_remote(record, files):
            return self._remote_one(record, chain, labels)
        if files is Files.MOUNTED:
            raise _OutError(
                Obstacle.HALF_MADE,
                "something is mounted on its files: it was being made when the Go snapshotter was "
                "killed",
            )
        # A view of something has no files of its own.
        if files is Files.GONE and not (record.kind is Kind.VIEW and chain):
            raise _OutError(
                Obstacle.FILES_GONE,
                "its files are gone; the Go snapshotter deletes them when it is stopped instead "
                "of killed",
            )
        snapshot = Snapshot(
            identifier=record.identifier,
            name=record.name,
            parent_identifier=chain[0].identifier if chain else 0,
            parent=record.parent,
            kind=record.kind,
            created_at=record.created_at,
            updated_at=record.updated_at,
            labels=labels,
            usage=record.usage if record.kind is Kind.COMMITTED else None,
        )
        return Imported(snapshot, _NOTHING, directory=files is not Files.GONE)

    def _chain_below(self, record: Recorded) -> tuple[Snapshot, ...]:
        if not record.parent:
            return ()
        below = self._left_out.get(record.parent)
        if below is not None:
            raise _OutError(
                Obstacle.ABOVE,
                f"it stands on {record.parent!r}, which cannot be taken over",
                final=below.final,
            )
        chain = self._chains.get(record.parent)
        if chain is None:
            raise _OutError(
                Obstacle.BAD_RECORD,
                f"its parent {record.parent!r} does not exist, or stands on it",
            )
        if chain[0].kind is not Kind.COMMITTED:
            raise _OutError(Obstacle.BAD_RECORD, f"its parent {record.parent!r} is not committed")
        return chain

    @staticmethod
    def _is_remote(record: Recorded, files: Files) -> bool:
        # The author of an image can set the label too, on a layer that was downloaded.
        claimed = record.kind is Kind.COMMITTED and REMOTE in record.labels
        return claimed and files is not Files.THERE

    def _remote_one(
        self, record: Recorded, chain: tuple[Snapshot, ...], labels: dict[str, str]
    ) -> Imported:
        target = labels.setdefault(label_rules.TARGET, record.name.rpartition("/")[2])
        base = Base(chain[0] if chain else None, chain)
        decided = self._decided_on(record, base, labels)
        if isinstance(decided, Miss):
            where = f" on source {decided.source!r}" if decided.source else ""
            raise _OutError(
                Obstacle.NO_LAYER if decided.reason.healthy else Obstacle.SOURCE,
                f"its layer {labels.get(label_rules.LAYER_DIGEST, 'of unknown digest')} cannot be "
                f"used{where} ({decided.reason.value}): {decided.detail}",
                final=decided.reason.healthy,
            )
        wanted = Digest.parse(target)
        if wanted is None or decided.plan is None:
            raise AssertionError("a layer is used for a target, and nothing is recorded yet")
        snapshot = attrs.evolve(
            provide(decided.hit.layer, wanted, base.parent, labels, now=record.created_at),
            identifier=record.identifier,
            name=record.name,
            updated_at=record.updated_at,
        )
        pair = (snapshot.parent_identifier, snapshot.target)
        if pair in self._remote:
            raise _OutError(Obstacle.BAD_RECORD, "another one has the same parent and target")
        self._remote.add(pair)
        plan = decided.plan
        # Its number comes later; until then the longest one there can be.
        companion = Companion(2**63 - 1, above=bool(plan.above), below=bool(plan.below))
        return Imported(
            attrs.evolve(snapshot, companion=companion if plan else None), plan, directory=False
        )

    def _decided_on(
        self, record: Recorded, base: Base, labels: Mapping[str, str]
    ) -> Accepted | Miss:
        # Nothing is imported while a source fails, and one that hangs would hang us once for each
        # layer.
        if self._failed is not None:
            raise _OutError(Obstacle.SOURCE, f"not asked, after {self._failed}", final=False)
        for attempt in range(_ATTEMPTS):
            until = self._context.clock.monotonic() + self._patience
            try:
                decided = decide(self._context, record.name, base, labels, until)
            except UnavailableError as error:
                self._failed = str(error)
                raise _OutError(Obstacle.SOURCE, self._failed, final=False) from None
            waits = isinstance(decided, Miss) and decided.reason in _WORTH_WAITING
            if not waits or attempt == _ATTEMPTS - 1:
                break
        if isinstance(decided, Miss) and not decided.reason.healthy:
            self._failed = f"source {decided.source!r} failed"
        return decided


def record_import(context: Context, plan: ImportPlan) -> None:
    """Record what is taken over, with companions and links. Nothing else is recorded yet.

    Args:
        context: the ports.
        plan: what to take over.

    Raises:
        ResourceExhaustedError: the medium is full, or fails.
    """
    highest = max((one.snapshot.identifier for one in plan.imported), default=0)
    context.store.raise_identifiers(highest)
    companions: dict[str, Companion] = {}
    snapshots = [_with_companion(context, one, companions) for one in plan.imported]
    context.store.write(_insert_all(snapshots, companions))


def _with_companion(context: Context, one: Imported, companions: dict[str, Companion]) -> Snapshot:
    layer = one.snapshot.layer
    if layer is None or not one.plan:
        return one.snapshot
    fingerprint = one.plan.fingerprint_for(layer.digest)
    if fingerprint not in companions:
        number = context.store.new_identifier()
        context.companions.build(number, one.plan)
        companions[fingerprint] = Companion(
            number, above=bool(one.plan.above), below=bool(one.plan.below)
        )
    return attrs.evolve(one.snapshot, companion=companions[fingerprint])


def _insert_all(
    snapshots: Sequence[Snapshot], companions: Mapping[str, Companion]
) -> Callable[[Transaction], None]:
    def insert(transaction: Transaction) -> None:
        for fingerprint, companion in companions.items():
            transaction.add_companion(companion, fingerprint)
        for snapshot in snapshots:
            transaction.insert(snapshot)

    return insert
