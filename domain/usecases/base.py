"""What a new or existing snapshot stands on, read and checked."""

from collections.abc import Sequence
from typing import Never

import attrs

from ..errors import AlreadyExistsError, InvalidArgumentError, NotFoundError, UnavailableError
from ..events import LayerUnreachable
from ..layer import Layer, Trouble
from ..ports.store import Records
from ..snapshot import Kind, Snapshot
from .context import Context

MAX_NAME_BYTES = 32768
"""Longest key or name; the bound is that of containerd's own database."""


def require_name(what: str, name: str) -> None:
    """Refuse an empty or endless key or name.

    Args:
        what: how the message calls it.
        name: the key or name.

    Raises:
        InvalidArgumentError: it is empty, or longer than ``MAX_NAME_BYTES``.
    """
    if not name:
        raise InvalidArgumentError(f"the {what} is empty")
    if len(name) > MAX_NAME_BYTES or len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidArgumentError(f"the {what} is longer than {MAX_NAME_BYTES} bytes")


def existing(records: Records, key: str) -> Snapshot:
    """Give the snapshot of a key or name.

    Raises:
        NotFoundError: there is none.
    """
    snapshot = records.get(key)
    if snapshot is None:
        raise NotFoundError(f"snapshot {key!r} does not exist")
    return snapshot


@attrs.frozen
class Base:
    """What a new snapshot stands on.

    Attributes:
        parent: its parent; None for an empty tree.
        chain: the parent and all below it, topmost first.
        provided: the remote snapshot of the target that was asked for on this parent; None if
            there is none, or no target.
    """

    parent: Snapshot | None
    chain: tuple[Snapshot, ...]
    provided: Snapshot | None = None


def base_for(context: Context, key: str, parent: str, target: str = "") -> Base:
    """Read what a new snapshot would stand on, and whether its key is free.

    Two readings, since a parent and its chain may be known without a look at the records. What
    changes between or after them is found when the snapshot is recorded.

    Args:
        context: the ports.
        key: of the new snapshot.
        parent: name of its parent; empty for none.
        target: the chain ID that is asked for; empty for none.

    Returns:
        What it would stand on.

    Raises:
        NotFoundError: there is no such parent.
        InvalidArgumentError: the parent is not committed.
        AlreadyExistsError: the key is taken.
    """
    base = context.store.read(lambda r: _base(r, parent)) if parent else Base(None, ())
    number = base.parent.identifier if base.parent else 0
    if target:
        there, provided = context.store.read(lambda r: r.get_with_remote(key, number, target))
    else:
        there, provided = context.store.read(lambda r: r.get(key)), None
    if there is not None:
        raise AlreadyExistsError(f"snapshot {key!r} exists already")
    return attrs.evolve(base, provided=provided) if provided else base


def _base(records: Records, parent: str) -> Base:
    found = records.get(parent)
    if found is None:
        raise NotFoundError(f"parent {parent!r} does not exist")
    if found.kind is not Kind.COMMITTED:
        raise InvalidArgumentError(
            f"parent {parent!r} is {found.kind.value}: only a committed snapshot can be one"
        )
    return Base(found, records.chain(found.identifier))


def require_unchanged(records: Records, base: Base) -> None:
    """Make sure, inside a transaction, that the parent is still there.

    A committed snapshot never changes, so that its identity is all there is to check.

    Raises:
        NotFoundError: it was removed since it was read.
    """
    if base.parent is None:
        return
    now = records.get(base.parent.name)
    if now is None or now.identifier != base.parent.identifier:
        raise NotFoundError(f"parent {base.parent.name!r} was removed meanwhile")


def require_reachable(context: Context, key: str, chain: Sequence[Snapshot], until: float) -> None:
    """Make sure that every remote layer of a chain can be read right now.

    A mount on top of a source that hangs would hang containerd itself, and one on top of a dead
    source stays dead.

    Args:
        context: the ports.
        key: the snapshot that was asked for.
        chain: what it stands on.
        until: deadline on the monotonic clock, seconds.

    Raises:
        UnavailableError: a layer is out of reach; names layer, path and cause.
    """
    layers = remote_layers(chain)
    if not layers:
        return
    trouble = context.sources.check(layers, until)
    if trouble is not None:
        refuse_unreachable(context, key, trouble)


def remote_layers(chain: Sequence[Snapshot]) -> list[Layer]:
    """Give the layers behind the remote snapshots of a chain, in its order."""
    return [snapshot.layer for snapshot in chain if snapshot.layer is not None]


def refuse_unreachable(context: Context, key: str, trouble: Trouble) -> Never:
    """Refuse what would stand on a layer that is out of reach.

    Args:
        context: the ports.
        key: the snapshot that was asked for.
        trouble: what is wrong with the layer.

    Raises:
        UnavailableError: always; names layer, path and cause.
    """
    context.events.record(LayerUnreachable(key, trouble))
    raise UnavailableError(
        f"layer {trouble.layer.digest} at {trouble.path} cannot be reached "
        f"({trouble.reason.value}): {trouble.detail}"
    )


def deadline(context: Context) -> float:
    """Give the moment by which one request is done with its look-ups, on the monotonic clock."""
    return context.clock.monotonic() + context.sources.patience
