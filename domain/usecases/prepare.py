"""Prepare and View."""

from collections.abc import Mapping

import attrs

from .. import labels as label_rules
from ..errors import AlreadyExistsError
from ..events import LayerDecided
from ..layer import Digest, Hit, Miss, Reason
from ..mounts import Mount, mounts_of
from ..ports.store import Transaction
from ..snapshot import Kind, Snapshot, begin, provide
from .base import Base, base_for, deadline, require_name, require_reachable, require_unchanged
from .context import Context
from .decide import decide


def prepare(
    context: Context, key: str, parent: str, labels: Mapping[str, str]
) -> tuple[Mount, ...]:
    """Make an active snapshot or provide a remote layer; see ``Snapshotter.prepare``."""
    require_name("key", key)
    given = label_rules.checked(labels)
    base = context.store.read(lambda r: base_for(r, key, parent))
    until = deadline(context)
    require_reachable(context, key, base.chain, until)
    if label_rules.TARGET in given:
        _provide_if_published(context, key, base, given, until)
    return _create(context, Kind.ACTIVE, key, base, given)


def view(context: Context, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
    """Make a view; see ``Snapshotter.view``."""
    require_name("key", key)
    given = label_rules.checked(labels)
    base = context.store.read(lambda r: base_for(r, key, parent))
    require_reachable(context, key, base.chain, deadline(context))
    return _create(context, Kind.VIEW, key, base, given)


def _provide_if_published(
    context: Context, key: str, base: Base, labels: Mapping[str, str], until: float
) -> None:
    started = context.clock.monotonic()
    outcome = decide(context, base, labels, until)
    if isinstance(outcome, Hit):
        outcome = _record_hit(context, key, base, labels, outcome)
    context.events.record(
        LayerDecided(
            key=key,
            parent=base.parent.name if base.parent else "",
            target=labels[label_rules.TARGET],
            digest=labels.get(label_rules.LAYER_DIGEST, ""),
            outcome=outcome,
            seconds=context.clock.monotonic() - started,
        )
    )
    if isinstance(outcome, Hit):
        raise AlreadyExistsError(
            f"target snapshot {labels[label_rules.TARGET]!r} is provided from source "
            f"{outcome.layer.source!r}"
        )


def _record_hit(
    context: Context, key: str, base: Base, labels: Mapping[str, str], hit: Hit
) -> Hit | Miss:
    target = Digest.parse(labels[label_rules.TARGET])
    path = context.sources.path(hit.layer)
    if target is None or path is None:
        raise AssertionError("a hit has a target and a configured source")
    snapshot = provide(hit.layer, target, base.parent, labels, now=context.clock.now())
    identifier = context.store.new_identifier()
    context.directories.link_layer(identifier, path)
    recorded = False
    try:
        recorded, result = context.store.write(
            lambda t: _insert_once(
                t, key, base, attrs.evolve(snapshot, identifier=identifier), hit
            )
        )
    finally:
        if not recorded:
            context.directories.remove(identifier)
    return result


def _insert_once(
    transaction: Transaction, key: str, base: Base, snapshot: Snapshot, hit: Hit
) -> tuple[bool, Hit | Miss]:
    require_unchanged(transaction, base)
    if transaction.get(key) is not None:
        raise AlreadyExistsError(f"snapshot {key!r} exists already")
    if transaction.find_remote(snapshot.parent_identifier, snapshot.target) is not None:
        return False, hit
    if transaction.get(snapshot.name) is not None:
        return False, Miss(
            Reason.NAME_TAKEN,
            f"the name {snapshot.name!r} belongs to another snapshot",
            hit.layer.source,
        )
    transaction.insert(snapshot)
    return True, hit


def _create(
    context: Context, kind: Kind, key: str, base: Base, labels: Mapping[str, str]
) -> tuple[Mount, ...]:
    snapshot = begin(kind, key, base.parent, labels, now=context.clock.now())
    owner = _owner(snapshot, base.parent)
    snapshot = attrs.evolve(snapshot, identifier=context.store.new_identifier())
    # The plan first: a chain that cannot be mounted must not leave a snapshot behind.
    mounts = mounts_of(snapshot, base.chain, context.layout)
    recorded = False
    try:
        if kind is Kind.ACTIVE:
            context.directories.create_active(snapshot.identifier, owner)
        elif base.parent is None:
            context.directories.create_empty(snapshot.identifier)
        context.store.write(lambda t: _insert_new(t, base, snapshot))
        recorded = True
    finally:
        if not recorded:
            context.directories.remove(snapshot.identifier)
    return mounts


def _insert_new(transaction: Transaction, base: Base, snapshot: Snapshot) -> None:
    require_unchanged(transaction, base)
    transaction.insert(snapshot)


def _owner(snapshot: Snapshot, parent: Snapshot | None) -> tuple[int, int] | int:
    mapped = label_rules.mapped_root(snapshot.labels)
    if mapped is not None:
        return mapped
    # The root of a published layer belongs to its publisher, which means nothing here.
    if parent is None or parent.remote:
        return (0, 0)
    return parent.identifier
