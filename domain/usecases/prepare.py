"""Prepare and View."""

from collections.abc import Mapping

from .. import labels as label_rules
from ..layer import Miss, Reason
from ..mounts import Mount, plan_mounts
from ..ports.store import Transaction
from ..snapshot import Kind, Snapshot, begin
from .base import (
    Base,
    base_for,
    deadline,
    require_name,
    require_reachable,
    require_unchanged,
)
from .context import Context
from .decide import comes_later
from .mend import make_links, owner_of, require_companions, require_files
from .provide import provide_if_published
from .unasked import note_if_unpacked


def prepare(
    context: Context, key: str, parent: str, labels: Mapping[str, str]
) -> tuple[Mount, ...]:
    """Make an active snapshot or provide a remote layer; see ``Snapshotter.prepare``."""
    require_name("key", key)
    given = label_rules.checked(labels)
    base = base_for(context, key, parent, given.get(label_rules.TARGET, ""))
    until = deadline(context)
    _require_whole(context, base)
    if label_rules.TARGET in given:
        done = provide_if_published(context, key, base, given, until)
        if not isinstance(done, Miss):
            plan = plan_mounts(done, (), context.layout, context.sources.path)
            make_links(context, plan.links)
            return plan.mounts
        if base.parent is None and (comes_later(base, given) or done.reason is Reason.WRONG_CHAIN):
            given[label_rules.OVER_NOTHING] = "true"
    else:
        require_reachable(context, key, base.chain, until)
        note_if_unpacked(context, key, base, given)
    return _create(context, Kind.ACTIVE, key, base, given)


def view(context: Context, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
    """Make a view; see ``Snapshotter.view``."""
    require_name("key", key)
    given = label_rules.checked(labels)
    base = base_for(context, key, parent)
    until = deadline(context)
    _require_whole(context, base)
    require_reachable(context, key, base.chain, until)
    return _create(context, Kind.VIEW, key, base, given)


def _require_whole(context: Context, base: Base) -> None:
    require_files(context, base.chain)
    require_companions(context, base.chain)


def _create(
    context: Context, kind: Kind, key: str, base: Base, labels: Mapping[str, str]
) -> tuple[Mount, ...]:
    identifier = context.store.new_identifier()
    now = context.clock.now()
    snapshot = begin(kind, key, base.parent, labels, now=now, identifier=identifier)
    owner = owner_of(snapshot, base.parent)
    # The plan first: a chain that cannot be mounted must not leave a snapshot behind.
    plan = plan_mounts(snapshot, base.chain, context.layout, context.sources.path)
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
    make_links(context, plan.links)
    require_companions(context, base.chain)
    return plan.mounts


def _insert_new(transaction: Transaction, base: Base, snapshot: Snapshot) -> None:
    require_unchanged(transaction, base)
    transaction.insert(snapshot)
