"""Remove and Cleanup."""

from collections.abc import Callable, Sequence

from ..errors import ResourceExhaustedError
from ..events import CleanedUp, DirectoryKept
from ..ports.store import Transaction
from ..snapshot import require_childless
from .base import existing, require_name
from .context import Context

_BATCH = 100
_COMPANIONS = 10_000


def remove(context: Context, key: str) -> None:
    """Forget a snapshot; see ``Snapshotter.remove``.

    containerd calls this while it holds the lock of its garbage collection, so that files are not
    touched here.
    """
    require_name("key", key)
    context.store.write(lambda t: _remove(t, key), frees=True)


def _remove(transaction: Transaction, key: str) -> None:
    snapshot = existing(transaction, key)
    require_childless(snapshot, has_children=transaction.has_children(snapshot.identifier))
    transaction.bury(snapshot.identifier)


def cleanup(context: Context) -> None:
    """Delete the directories of removed snapshots; see ``Snapshotter.cleanup``.

    Only tombstones lead to a deletion, and a directory that is being made has none, so that this
    is safe beside every other operation and beside itself. Companions that no snapshot has any
    more are first marked in a transaction, after which none gets them.
    """
    started = context.clock.monotonic()
    after = directories = 0
    while batch := _tombstones(context, after):
        after = batch[-1]
        gone = [i for i in batch if _delete(context, context.directories.remove, i)]
        # A directory that came back after a power cut would have no record to tell whose it is.
        context.directories.settle()
        context.store.write(lambda t, g=gone: t.forget_tombstones(g), frees=True)  # type: ignore[misc]
        directories += len(gone)
    unused = context.store.write(lambda t: t.claim_unused_companions(_COMPANIONS), frees=True)
    gone = [number for number in unused if _delete(context, context.companions.remove, number)]
    if gone:
        context.store.write(lambda t: t.forget_companions(gone), frees=True)
    seconds = context.clock.monotonic() - started
    context.events.record(CleanedUp(directories, len(gone), seconds))


def _tombstones(context: Context, after: int) -> Sequence[int]:
    return context.store.read(lambda r: r.tombstones(after, _BATCH))


def _delete(context: Context, remove: Callable[[int], None], number: int) -> bool:
    try:
        remove(number)
    except ResourceExhaustedError as error:
        context.events.record(DirectoryKept(number, str(error)))
        return False
    return True
