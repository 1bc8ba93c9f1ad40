"""Remove and Cleanup."""

from collections.abc import Sequence

from ..errors import ResourceExhaustedError
from ..events import DirectoryKept
from ..ports.store import Transaction
from ..snapshot import require_childless
from .base import existing, require_name
from .context import Context

_BATCH = 100


def remove(context: Context, key: str) -> None:
    """Forget a snapshot; see ``Snapshotter.remove``.

    containerd calls this while it holds the lock of its garbage collection, so that files are not
    touched here.
    """
    require_name("key", key)
    context.store.write(lambda t: _remove(t, key))


def _remove(transaction: Transaction, key: str) -> None:
    snapshot = existing(transaction, key)
    require_childless(snapshot, has_children=transaction.has_children(snapshot.identifier))
    transaction.bury(snapshot.identifier)


def cleanup(context: Context) -> None:
    """Delete the directories of removed snapshots; see ``Snapshotter.cleanup``.

    Only tombstones lead to a deletion, and a directory that is being made has none, so that this
    is safe beside every other operation and beside itself.
    """
    after = 0
    while batch := _tombstones(context, after):
        after = batch[-1]
        gone = [identifier for identifier in batch if _delete(context, identifier)]
        if gone:
            context.store.write(lambda t, gone=gone: t.forget_tombstones(gone))  # type: ignore[misc]


def _tombstones(context: Context, after: int) -> Sequence[int]:
    return context.store.read(lambda r: r.tombstones(after, _BATCH))


def _delete(context: Context, identifier: int) -> bool:
    try:
        context.directories.remove(identifier)
    except ResourceExhaustedError as error:
        context.events.record(DirectoryKept(identifier, str(error)))
        return False
    return True
