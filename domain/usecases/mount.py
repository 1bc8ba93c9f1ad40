"""Mounts."""

from ..mounts import Mount, mounts_of
from ..ports.store import Records
from ..snapshot import Snapshot, require_mountable
from .base import deadline, existing, require_name, require_reachable
from .context import Context
from .mend import mend_chain, mend_own, require_files, require_still_there


def mounts(context: Context, key: str) -> tuple[Mount, ...]:
    """Say how to mount a snapshot; see ``Snapshotter.mounts``."""
    require_name("key", key)
    snapshot, chain = context.store.read(lambda r: _with_chain(r, key))
    lowers = (snapshot, *chain) if snapshot.staged else chain
    require_files(context, lowers)
    require_reachable(context, key, lowers, deadline(context))
    mend_chain(context, lowers)
    if snapshot.staged:
        require_still_there(context, snapshot)
    else:
        mend_own(context, snapshot, chain)
    return mounts_of(snapshot, chain, context.layout)


def _with_chain(records: Records, key: str) -> tuple[Snapshot, tuple[Snapshot, ...]]:
    snapshot = existing(records, key)
    require_mountable(snapshot)
    return snapshot, records.chain(snapshot.parent_identifier)
