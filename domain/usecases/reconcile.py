"""Comparing records, directories, companions, sources and containerd, and mending what is safe."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

import attrs

from ..companions import Companion
from ..containerd import ContainerdRecords, KnownSnapshot
from ..filters import Pins
from ..findings import Finding, Problem
from ..layer import Layer, Miss
from ..mounts import Link
from ..ports.store import Position, Records
from ..snapshot import Kind, Snapshot
from .context import Context
from .mend import make_links, mend_own
from .remove import cleanup
from .translate import translate
from .upkeep import adopt_orphans, discard_unrecorded_companions

_PAGE = 1000

_PULL_AGAIN = "remove the images and containers that use it and pull them again"


@attrs.frozen
class Reconciliation:
    """One comparison.

    Attributes:
        context: the ports.
        known: what containerd has recorded; None if that cannot be read.
        snapshotter: name of the proxy plugin in containerd's configuration.
        patience: seconds for each look at a source.
    """

    context: Context
    known: ContainerdRecords | None
    snapshotter: str
    patience: float

    def inspect(self) -> list[Finding]:
        """Find everything that does not fit; nothing is changed.

        Returns:
            What was found, by subject: directories, records, layers, containerd.

        Raises:
            ResourceExhaustedError: the state directory cannot be read.
            InternalError: the records cannot be read.
        """
        snapshots = self.context.store.read(every_snapshot)
        chains = _Chains({s.identifier: s for s in snapshots})
        return [
            *self._unrecorded(),
            *self._removed(),
            *(f for s in snapshots for f in self._local(s, chains.of(s))),
            *self._layers(snapshots),
            *self._containerds(snapshots),
        ]

    def mend(self) -> None:
        """Mend what is safe: links, directories that held nothing, companions, leftovers.

        No daemon may run on the same state directory.

        Raises:
            ResourceExhaustedError: the state directory cannot be written.
            InternalError: the records cannot be read or written.
        """
        context = self.context
        adopt_orphans(context)
        discard_unrecorded_companions(context)
        snapshots = context.store.read(every_snapshot)
        chains = _Chains({s.identifier: s for s in snapshots})
        for snapshot in snapshots:
            chain = chains.of(snapshot)
            self._mend_link(snapshot)
            if not snapshot.remote and self._can_be_made(snapshot, chain):
                mend_own(context, snapshot, chain)
            if snapshot.companion is not None and not context.companions.mend(snapshot.companion):
                self._rebuild(snapshot, snapshot.companion, chain)
        cleanup(context)

    # What is on disk

    def _unrecorded(self) -> Iterator[Finding]:
        context, root = self.context, self.context.layout.root
        present = sorted(context.directories.present())
        strangers = {*context.store.read(lambda r: r.strangers())}
        following = context.store.read(lambda r: r.next_identifier())
        unrecorded = {*context.store.read(lambda r: r.unrecorded(present))}
        for identifier in sorted(unrecorded | strangers.intersection(present)):
            path = f"{root}/snapshots/{identifier}"
            ours = identifier in unrecorded and identifier < following
            if ours and context.directories.is_empty(identifier):
                detail = f"{path} belongs to no record and holds nothing: a crash left it"
                yield Finding(Problem.ORPHAN, f"directory {identifier}", detail, safe=True)
            else:
                detail = (
                    f"{path} belongs to no record but may hold somebody's data; it is left alone"
                )
                quoted, link = shlex.quote(path), shlex.quote(context.layout.link(identifier))
                commands = (
                    f"ls -la {quoted}/fs",
                    f"rm -rf --one-file-system {quoted} && rm -f {link}",
                )
                yield Finding(
                    Problem.STRANGER, f"directory {identifier}", detail, commands=commands
                )
        companions = sorted(context.companions.present())
        for number in context.store.read(lambda r: r.unrecorded_companions(companions)):
            detail = f"{root}/companions/{number} belongs to no record: a crash left it"
            yield Finding(Problem.UNUSED_COMPANION, f"companion {number}", detail, safe=True)

    def _removed(self) -> Iterator[Finding]:
        waiting = self.context.store.read(lambda r: r.tombstones(0, _PAGE))
        if waiting:
            count = f"{len(waiting)}" if len(waiting) < _PAGE else f"{_PAGE} or more"
            detail = f"{count} removed snapshots wait for the Cleanup that containerd calls"
            yield Finding(Problem.REMOVED, "removed snapshots", detail, safe=True)

    def _local(self, snapshot: Snapshot, chain: Sequence[Snapshot]) -> Iterator[Finding]:
        subject, directories = _subject(snapshot), self.context.directories
        path = self._layer_path(snapshot)
        if self._is_astray(snapshot, path):
            wanted = path or self.context.layout.files(snapshot.identifier)
            detail = f"{self.context.layout.link(snapshot.identifier)} should lead to {wanted}"
            yield Finding(Problem.LINK, subject, detail, safe=True)
        if _has_own(snapshot, chain) and directories.without_files((snapshot.identifier,)):
            path = self.context.layout.files(snapshot.identifier)
            if self._can_be_made(snapshot, chain):
                detail = f"{path} is gone, with what was written to it; an empty one can be made"
                yield Finding(Problem.DIRECTORY, subject, detail, safe=True)
            else:
                yield self._lost(Problem.FILES, snapshot, f"{path} is gone: {_PULL_AGAIN}")
        companion = snapshot.companion
        if companion is not None and not self.context.companions.whole(companion):
            detail = f"companion {companion.number} is not whole; it can be made from its layer"
            yield Finding(Problem.COMPANION, subject, detail, safe=True)

    def _layer_path(self, snapshot: Snapshot) -> str | None:
        return None if snapshot.layer is None else self.context.sources.path(snapshot.layer)

    def _mend_link(self, snapshot: Snapshot) -> None:
        path = self._layer_path(snapshot)
        if self._is_astray(snapshot, path):
            make_links(self.context, (Link(snapshot.identifier, path),))

    def _is_astray(self, snapshot: Snapshot, path: str | None) -> bool:
        if snapshot.remote and path is None:
            # Where a layer on a source that is not configured any more should be, nobody knows.
            return False
        return self.context.directories.is_astray(snapshot.identifier, path)

    def _can_be_made(self, snapshot: Snapshot, chain: Sequence[Snapshot]) -> bool:
        """Whether an own directory can be made again: its parent must be there, for the owner."""
        if snapshot.kind is Kind.COMMITTED:
            return False
        parent = chain[0] if chain else None
        return (
            parent is None
            or parent.remote
            or not self.context.directories.without_files((parent.identifier,))
        )

    def _rebuild(
        self, snapshot: Snapshot, companion: Companion, chain: Sequence[Snapshot]
    ) -> None:
        context, layer = self.context, snapshot.layer
        if layer is None:
            return
        hit = context.sources.look(layer, self._until())
        if isinstance(hit, Miss):
            return
        below = None if snapshot.kind is Kind.ACTIVE else chain
        plan = translate(context, hit, below)
        if isinstance(plan, Miss) or not plan:
            return
        fingerprint = plan.fingerprint_for(layer.digest)
        if context.store.read(lambda r: r.find_companion(fingerprint)) == companion:
            context.companions.remove(companion.number)
            context.companions.build(companion.number, plan)

    # What is on sources

    def _layers(self, snapshots: Sequence[Snapshot]) -> Iterator[Finding]:
        missing: list[tuple[Snapshot, Layer, Miss]] = []
        answering: set[str] = set()
        for snapshot in snapshots:
            layer = snapshot.layer
            if layer is None:
                continue
            if self.context.sources.path(layer) is None:
                detail = f"source {layer.source!r} is not in the configuration that was given"
                yield Finding(Problem.SOURCE, _subject(snapshot), detail)
                continue
            found = self.context.sources.look(layer, self._until())
            if isinstance(found, Miss):
                missing.append((snapshot, layer, found))
            else:
                answering.add(layer.source)
        for snapshot, layer, miss in missing:
            yield self._missing(snapshot, layer, miss, answers=layer.source in answering)

    def _missing(self, snapshot: Snapshot, layer: Layer, miss: Miss, *, answers: bool) -> Finding:
        if not miss.reason.healthy:
            detail = f"layer {layer.digest} cannot be reached: {miss.detail}"
            return Finding(Problem.UNREACHABLE, _subject(snapshot), detail)
        detail = f"layer {layer.digest} is no longer on source {layer.source!r}"
        if answers:
            return self._lost(Problem.LAYER, snapshot, f"{detail}: {_PULL_AGAIN}")
        # An empty mount point looks like a source that has lost everything.
        detail += ", and no other layer that is recorded there: look whether it is mounted"
        return Finding(Problem.UNREACHABLE, _subject(snapshot), detail)

    def _until(self) -> float:
        return self.context.clock.monotonic() + self.patience

    # What containerd has

    def _containerds(self, snapshots: Sequence[Snapshot]) -> Iterator[Finding]:
        if self.known is None:
            return
        ours = {snapshot.name: snapshot for snapshot in snapshots}
        by_key = {(s.namespace, s.key): s for s in self.known.snapshots}
        for one in self.known.snapshots:
            subject = f"snapshot {one.key!r} in namespace {one.namespace!r}"
            record = ours.get(one.name)
            parent = by_key.get((one.namespace, one.parent))
            if record is None:
                detail = "containerd has it recorded and we have not: pulls of it fail for ever"
                yield self._forgotten(Problem.UNKNOWN_TO_US, subject, detail, one)
            elif record.parent != (parent.name if parent else ""):
                detail = f"containerd has it on {one.parent!r}, and we on {record.parent!r}"
                yield self._forgotten(Problem.OTHER_PARENT, subject, detail, one)
        for container in self.known.containers:
            if (container.namespace, container.key) not in by_key:
                subject = f"container {container.identifier!r} in {container.namespace!r}"
                detail = f"its snapshot {container.key!r} is gone: remove it"
                yield Finding(Problem.CONTAINER, subject, detail)
        known = {one.name for one in self.known.snapshots}
        for snapshot in snapshots:
            if snapshot.name not in known:
                detail = "containerd does not know it; its next garbage collection removes it"
                yield Finding(Problem.UNKNOWN_TO_CONTAINERD, _subject(snapshot), detail)

    def _forgotten(
        self, problem: Problem, subject: str, detail: str, one: KnownSnapshot
    ) -> Finding:
        known = self.known or ContainerdRecords((), (), {})
        commands = known.ways_out(known.above(one), self.snapshotter)
        return Finding(problem, subject, detail, commands=tuple(commands))

    def _lost(self, problem: Problem, snapshot: Snapshot, detail: str) -> Finding:
        known = self.known or ContainerdRecords((), (), {})
        commands = [
            command
            for one in known.snapshots
            if one.name == snapshot.name
            for command in known.ways_out(known.above(one), self.snapshotter)
        ]
        return Finding(problem, _subject(snapshot), detail, commands=tuple(commands))


@attrs.frozen
class _Chains:
    """What snapshots stand on, from records that were read in one go."""

    by_identifier: Mapping[int, Snapshot]

    def of(self, snapshot: Snapshot) -> Sequence[Snapshot]:
        """Give all below a snapshot, topmost first."""
        chain: list[Snapshot] = []
        below = self.by_identifier.get(snapshot.parent_identifier)
        while below is not None:
            chain.append(below)
            below = self.by_identifier.get(below.parent_identifier)
        return chain


def every_snapshot(records: Records) -> list[Snapshot]:
    """Read all snapshots, in the order of a listing.

    Args:
        records: the records.
    """
    found: list[Snapshot] = []
    after: Position | None = None
    while page := records.page(Pins(), after, _PAGE):
        found += page
        after = Position.of(page[-1])
    return found


def _has_own(snapshot: Snapshot, chain: Sequence[Snapshot]) -> bool:
    if snapshot.remote:
        return False
    return snapshot.kind is not Kind.VIEW or not chain


def _subject(snapshot: Snapshot) -> str:
    return f"snapshot {snapshot.name!r}"
