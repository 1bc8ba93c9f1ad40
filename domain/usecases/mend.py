"""What a power cut may have taken from a recorded snapshot, made again before it is mounted.

Records are durable when they are answered; directories and links are not. What held nothing can be
made again: links, and the own directory of an active snapshot or of a view of nothing. The files
of a local committed snapshot, which containerd unpacked, cannot. Links are made when mounts name
them, which few do.
"""

from collections.abc import Sequence

from .. import labels as label_rules
from ..errors import FailedPreconditionError, NotFoundError
from ..events import DirectoryMade
from ..mounts import Link
from ..snapshot import Kind, Snapshot
from .context import Context


def owner_of(snapshot: Snapshot, parent: Snapshot | None) -> tuple[int, int] | int:
    """Say to whom the root of an active snapshot belongs.

    Args:
        snapshot: the snapshot.
        parent: what it stands on; None for nothing.

    Returns:
        User and group ID, or the identifier of the snapshot whose owner it takes.
    """
    mapped = label_rules.mapped_root(snapshot.labels)
    if mapped is not None:
        return mapped
    # The root of a published layer belongs to its publisher, which means nothing here.
    if parent is None or parent.remote:
        return (0, 0)
    return parent.identifier


def require_files(context: Context, chain: Sequence[Snapshot]) -> None:
    """Make sure that the files of every local snapshot of a chain are there.

    The error is not NOT_FOUND: containerd would take that for a missing snapshot and unpack the
    image again, layer by layer, where it finds all of them recorded
    (``internal/cri/opts/container.go``, ``WithNewSnapshot``). Nor is it UNAVAILABLE, because it
    does not pass by itself.

    Args:
        context: the ports.
        chain: what a snapshot stands on.

    Raises:
        FailedPreconditionError: some are gone.
    """
    local = {snapshot.identifier: snapshot for snapshot in chain if not snapshot.remote}
    gone = context.directories.without_files(local) if local else ()
    if gone:
        raise FailedPreconditionError(
            f"the files of snapshot {local[gone[0]].name!r} are gone: "
            f"{context.layout.files(gone[0])} does not exist; "
            "remove the images and containers that use it and pull them again"
        )


def make_links(context: Context, links: Sequence[Link]) -> None:
    """Make the links that mounts name, whatever was there before.

    What they name must be in use by a recorded snapshot, so that nobody removes it meanwhile.

    Args:
        context: the ports.
        links: what the plan of the mounts asks for.

    Raises:
        ResourceExhaustedError: one cannot be made.
    """
    for link in links:
        if link.path is None:
            context.directories.link_files(link.identifier)
        else:
            context.directories.link_layer(link.identifier, link.path)


def require_companions(context: Context, chain: Sequence[Snapshot]) -> None:
    """Make sure that the companions of a chain are there, and mend their links.

    Args:
        context: the ports.
        chain: what a snapshot stands on.

    Raises:
        FailedPreconditionError: one is gone.
        ResourceExhaustedError: a link cannot be made.
    """
    for snapshot in chain:
        if snapshot.companion is not None and not context.companions.mend(snapshot.companion):
            raise FailedPreconditionError(
                f"companion {snapshot.companion.number} of snapshot {snapshot.name!r} is gone; "
                "remove the images and containers that use it and pull them again"
            )


def mend_own(context: Context, snapshot: Snapshot, chain: Sequence[Snapshot]) -> None:
    """Make the own directory of a snapshot again where a power cut has lost it.

    Args:
        context: the ports.
        snapshot: active or view, recorded.
        chain: what it stands on, whose files are there.

    Raises:
        NotFoundError: it was removed meanwhile.
        ResourceExhaustedError: a directory cannot be made.
    """
    identifier = snapshot.identifier
    if snapshot.kind is Kind.ACTIVE:
        owner = owner_of(snapshot, chain[0] if chain else None)
        missing = context.directories.mend_active(identifier, owner)
    elif not chain:
        missing = context.directories.mend_empty(identifier)
    else:
        return
    if missing:
        require_still_there(context, snapshot)
        context.events.record(DirectoryMade(identifier))


def require_still_there(context: Context, snapshot: Snapshot) -> None:
    """Make sure that what was just made belongs to a snapshot.

    One that was removed meanwhile may be cleaned up already, tombstone and all: nobody else would
    delete what was made since.

    Args:
        context: the ports.
        snapshot: as it was read before.

    Raises:
        NotFoundError: it was removed; what was made is deleted.
    """
    now = context.store.read(lambda r: r.get(snapshot.name))
    if now is None or now.identifier != snapshot.identifier:
        context.directories.remove(snapshot.identifier)
        raise NotFoundError(f"snapshot {snapshot.name!r} was removed meanwhile")
