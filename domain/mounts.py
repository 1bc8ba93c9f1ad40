"""The mounts that containerd gets for a snapshot, and whether they fit.

A lower directory is named by a short link in ``<root>/l``: to the layer on its source for a remote
snapshot, to the snapshot's own directory for a local one. overlayfs follows the link when it is
mounted, so that no mount of our own is needed and option strings stay short.
"""

from collections.abc import Iterable, Sequence

import attrs

from . import labels as label_rules
from .errors import FailedPreconditionError
from .snapshot import Kind, Snapshot

OPTION_BYTES = 4095 - 32
"""Longest option string of a mount: mount(2) takes one page of data with its final NUL, and 32
bytes are left for what containerd and its shim add (``ro``, ``volatile``)."""

MOST_LOWERS = 500
"""Most lower directories of an overlay (the kernel's ``OVL_MAX_STACK``)."""

_COMPACTED_FROM = 4096 - 512
"""containerd (``core/mount/mount_linux.go``) shortens option strings of at least this many
bytes."""


@attrs.frozen
class Mount:
    """One mount, as ``containerd.types.Mount`` has it.

    Attributes:
        type: file system type, or ``bind``.
        source: what is mounted.
        options: options of mount(8).
    """

    type: str
    source: str
    options: tuple[str, ...]


@attrs.frozen
class Layout:
    """Where things are under the root directory, and what the kernel wants to be told.

    Attributes:
        root: the root directory, absolute, free of ``:``, ``,`` and backslashes.
        options: overlay options that this kernel needs (``index=off``, ``userxattr``).
    """

    root: str
    options: tuple[str, ...] = ()

    def files(self, identifier: int) -> str:
        """Path of a local snapshot's files."""
        return f"{self.root}/snapshots/{identifier}/fs"

    def work(self, identifier: int) -> str:
        """Path of an active snapshot's work directory, which overlayfs demands."""
        return f"{self.root}/snapshots/{identifier}/work"

    def link(self, identifier: int) -> str:
        """Path of the link that names a snapshot as lower directory."""
        return f"{self.root}/l/{identifier}"

    def above(self, number: int) -> str:
        """Path of the link to what a companion puts above its layer."""
        return f"{self.root}/l/{number}a"

    def below(self, number: int) -> str:
        """Path of the link to what a companion puts below its layer."""
        return f"{self.root}/l/{number}b"

    @property
    def hider(self) -> str:
        """Path of the link to the shared companion, which hides catalog markers in the root."""
        return f"{self.root}/l/s"


def lowers(chain: Sequence[Snapshot], layout: Layout) -> tuple[str, ...]:
    """Stack the lower directories of a chain.

    A layer that occurs more than once is stacked where it is topmost: the kernel refuses a
    directory that occurs twice (ELOOP), and what the lower copy provides or deletes the upper one
    does too. The shared companion lies directly above the topmost remote layer. It also keeps an
    overlay from consisting of CVMFS directories alone, which would mount and then fail every
    look-up, because CVMFS reports that names have no length.

    Args:
        chain: the committed snapshots from the topmost to the bottom.
        layout: where they are.

    Returns:
        Paths of the lower directories, topmost first.
    """
    stack: list[str] = []
    seen: set[str] = set()
    for snapshot in chain:
        if snapshot.layer is not None:
            if not seen:
                stack.append(layout.hider)
            if snapshot.layer.digest.hex in seen:
                continue
            seen.add(snapshot.layer.digest.hex)
        stack += _with_companion(snapshot, layout)
    return tuple(stack)


def _with_companion(snapshot: Snapshot, layout: Layout) -> list[str]:
    companion = snapshot.companion
    above = [layout.above(companion.number)] if companion and companion.above else []
    below = [layout.below(companion.number)] if companion and companion.below else []
    return [*above, layout.link(snapshot.identifier), *below]


def mounts_of(snapshot: Snapshot, chain: Sequence[Snapshot], layout: Layout) -> tuple[Mount, ...]:
    """Say how to mount an active snapshot or a view.

    =======  =========================  =======================================
    kind     stands on                  mount
    =======  =========================  =======================================
    active   nothing                    bind of its own directory, writable
    active   a parent named at Commit   overlay over the shared companion
    active   staged layer               overlay of lower directories, ``ro``
    active   anything                   overlay with upper and work directory
    view     nothing                    bind of its own directory, read-only
    view     one local snapshot         bind of that one's files, read-only
    view     several, or a remote one   overlay of lower directories
    =======  =========================  =======================================

    A remote layer is never bound: a bind keeps ``nosuid`` of the source and shows catalog markers.
    To containerd 2.4 a last mount with ``ro`` says that there is nothing to unpack; no other
    active snapshot has one.

    Args:
        snapshot: active or view.
        chain: what it stands on, from the topmost to the bottom.
        layout: where things are.

    Returns:
        The mounts; one.

    Raises:
        FailedPreconditionError: the options do not fit the page that mount(2) takes.
    """
    active = snapshot.kind is Kind.ACTIVE
    if active and snapshot.staged:
        return (_overlay(snapshot, ("ro", *layout.options), lowers((snapshot,), layout)),)
    over_nothing = active and not chain and label_rules.OVER_NOTHING in snapshot.labels
    if not chain and not over_nothing:
        return (_bind(layout.files(snapshot.identifier), writable=active),)
    if not active and len(chain) == 1 and not chain[0].remote:
        return (_bind(layout.files(chain[0].identifier), writable=False),)
    options = [*layout.options]
    if active:
        options += [
            f"workdir={layout.work(snapshot.identifier)}",
            f"upperdir={layout.files(snapshot.identifier)}",
        ]
    stack = (layout.hider,) if over_nothing else lowers(chain, layout)
    return (_overlay(snapshot, options, stack),)


def _overlay(snapshot: Snapshot, others: Iterable[str], stack: Sequence[str]) -> Mount:
    options = (*others, f"lowerdir={':'.join(stack)}")
    length = option_bytes(options, stack)
    if length > OPTION_BYTES:
        raise FailedPreconditionError(
            f"snapshot {snapshot.name!r} has {len(stack)} lower directories, whose options take "
            f"{length} bytes; mount(2) takes {OPTION_BYTES}"
        )
    if len(stack) > MOST_LOWERS:
        raise FailedPreconditionError(
            f"snapshot {snapshot.name!r} has {len(stack)} lower directories; the kernel takes "
            f"{MOST_LOWERS}"
        )
    return Mount("overlay", "overlay", options)


def _bind(path: str, *, writable: bool) -> Mount:
    return Mount("bind", path, ("rw" if writable else "ro", "rbind"))


def option_bytes(options: Iterable[str], stack: Sequence[str]) -> int:
    """Count the bytes of mount data that containerd will pass to the kernel.

    From a certain length on containerd changes into the common directory of the lower ones and
    names them from there.

    Args:
        options: the options, ``lowerdir`` among them.
        stack: the lower directories in it.

    Returns:
        Bytes, without the final NUL.
    """
    length = sum(len(option.encode()) + 1 for option in options) - 1
    if length < _COMPACTED_FROM or len(stack) < 2:  # noqa: PLR2004 - one has nothing in common
        return length
    # All links are in one directory, so what they have in common is at least that.
    shared = len(stack[0].rpartition("/")[0].encode()) + 1
    return length - shared * len(stack)


def fits(chain: Sequence[Snapshot], layout: Layout) -> bool:
    """Tell whether a container could stand on a chain.

    Args:
        chain: from the topmost to the bottom.
        layout: where things are.

    Returns:
        Whether an active snapshot with an identifier of 19 digits on top of it can be mounted.
    """
    longest = Snapshot(
        identifier=2**63 - 1,
        name="",
        parent_identifier=1,
        parent="",
        kind=Kind.ACTIVE,
        created_at=0,
        updated_at=0,
        labels={},
    )
    try:
        mounts_of(longest, chain, layout)
    except FailedPreconditionError:
        return False
    return True
