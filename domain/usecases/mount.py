"""Mounts."""

from ..mounts import Mount, plan_mounts
from ..ports.store import Records
from ..snapshot import Snapshot, require_mountable
from .base import deadline, existing, require_name, require_reachable
from .context import Context
from .mend import (
    make_links,
    mend_own,
    require_companions,
    require_files,
    require_still_there,
)


def mounts(context: Context, key: str) -> tuple[Mount, ...]:
    """Say how to mount a snapshot; see ``Snapshotter.mounts``."""
    require_name("key", key)
    snapshot, chain = context.store.read(lambda r: _with_chain(r, key))
    lowers = (snapshot, *chain) if snapshot.staged else chain
    require_files(context, lowers)
    require_reachable(context, key, lowers, deadline(context))
    plan = plan_mounts(snapshot, chain, context.layout, context.sources.path)
    make_links(context, plan.links)
    require_companions(context, lowers)
    if snapshot.staged:
        require_still_there(context, snapshot)
    else:
        mend_own(context, snapshot, chain)
    return plan.mounts


def _with_chain(records: Records, key: str) -> tuple[Snapshot, tuple[Snapshot, ...]]:
    snapshot = existing(records, key)
    require_mountable(snapshot)
    return snapshot, records.chain(snapshot.parent_identifier)
