"""Update."""

from collections.abc import Mapping, Sequence

from .. import labels as label_rules
from ..ports.store import Transaction
from ..snapshot import Snapshot, relabel
from .base import existing, require_name
from .context import Context


def update(
    context: Context, name: str, labels: Mapping[str, str], paths: Sequence[str]
) -> Snapshot:
    """Change labels; see ``Snapshotter.update``."""
    require_name("name", name)
    change = label_rules.change_of(paths, labels)
    now = context.clock.now()
    return context.store.write(lambda t: _update(t, name, change, now))


def _update(
    transaction: Transaction, name: str, change: label_rules.LabelChange, now: int
) -> Snapshot:
    snapshot = relabel(existing(transaction, name), change, now=now)
    transaction.replace(snapshot)
    return snapshot
