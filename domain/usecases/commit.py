"""Commit."""

from collections.abc import Mapping

from .. import labels as label_rules
from ..errors import AlreadyExistsError, NotFoundError
from ..events import SnapshotCommitted
from ..ports.store import Transaction
from ..snapshot import Snapshot, require_active, require_new_parent
from ..snapshot import commit as committed
from .base import existing, require_name
from .context import Context


def commit(
    context: Context, name: str, key: str, labels: Mapping[str, str], parent: str = ""
) -> None:
    """Commit an active snapshot; see ``Snapshotter.commit``.

    Nothing is measured here: containerd calls Commit inside its own write transaction.
    """
    require_name("key", key)
    require_name("name", name)
    given = label_rules.checked(labels)
    now = context.clock.now()
    snapshot = context.store.write(lambda t: _commit(t, name, key, given, parent, now))
    context.events.record(SnapshotCommitted(snapshot.identifier))


def _commit(  # noqa: PLR0913, PLR0917 - the request and the time
    transaction: Transaction,
    name: str,
    key: str,
    labels: Mapping[str, str],
    parent: str,
    now: int,
) -> Snapshot:
    if transaction.get(name) is not None:
        raise AlreadyExistsError(f"snapshot {name!r} exists already")
    active = existing(transaction, key)
    # The state first: containerd's own storage looks at the parent only of an active snapshot.
    require_active(active)
    new_parent = None
    if require_new_parent(active, parent):
        new_parent = transaction.get(parent)
        if new_parent is None:
            raise NotFoundError(f"parent {parent!r} does not exist")
    snapshot = committed(active, name, labels, now=now, new_parent=new_parent)
    transaction.replace(snapshot)
    return snapshot
