"""The mounts that containerd gets for a snapshot, and whether they fit.

A lower directory is named directly: the layer on its source for a remote snapshot, the snapshot's
own directory for a local one. Where the option string would be too long for that, or a path has a
character that means something there, short links in ``<root>/l`` name them instead. overlayfs
follows a link when it is mounted, so that no mount of our own is needed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from . import labels as label_rules
from .errors import FailedPreconditionError
from .layer import Layer
from .snapshot import Kind, Snapshot

OPTION_BYTES = 4095 - 32
"""Longest option string of a mount: mount(2) takes one page of data with its final NUL, and 32
bytes are left for what containerd and its shim add (``ro``, ``volatile``)."""

MOST_LOWERS = 500
"""Most lower directories of an overlay (the kernel's ``OVL_MAX_STACK``)."""

COMPACTED_FROM = 4096 - 512
"""containerd (``core/mount/mount_linux.go``) shortens option strings of at least this many bytes:
it changes into the directory that the lower ones have in common. Links have one; layers do not."""

_SPECIAL = (",", "\\", "\n", "\0")
"""What has a meaning of its own in options or ends them, beside the colon between directories."""

PathOf = Callable[[Layer], str | None]
"""Gives the path of a layer on its source as containerd mounts it; None if that is not known."""

_LONGEST = 2**63 - 1
"""The identifier that takes most characters."""


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


@attrs.frozen
class Link:
    """A link to a lower directory that must be there before its overlay is mounted.

    Attributes:
        identifier: of the snapshot that it names.
        path: of its layer, for a remote one; None for its own files.
    """

    identifier: int
    path: str | None


@attrs.frozen
class MountPlan:
    """How to mount a snapshot, and what must be done first.

    Attributes:
        mounts: for containerd; one.
        links: those that the mounts name; empty if lower directories are named directly.
    """

    mounts: tuple[Mount, ...]
    links: tuple[Link, ...] = ()


def _stack(chain: Sequence[Snapshot], layout: Layout) -> list[Snapshot | str]:
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
        Snapshots, and the paths of links to companions, topmost first.
    """
    stack: list[Snapshot | str] = []
    seen: set[str] = set()
    for snapshot in chain:
        if snapshot.layer is not None:
            if not seen:
                stack.append(layout.hider)
            if snapshot.layer.digest.hex in seen:
                continue
            seen.add(snapshot.layer.digest.hex)
        companion = snapshot.companion
        if companion is None:
            stack.append(snapshot)
            continue
        if companion.above:
            stack.append(layout.above(companion.number))
        stack.append(snapshot)
        if companion.below:
            stack.append(layout.below(companion.number))
    return stack


def plan_mounts(
    snapshot: Snapshot, chain: Sequence[Snapshot], layout: Layout, path_of: PathOf | None
) -> MountPlan:
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

    The lower directories of one overlay are named directly, or all of them by links. This is the
    only place where that is decided.

    Args:
        snapshot: active or view.
        chain: what it stands on, from the topmost to the bottom.
        layout: where things are.
        path_of: tells where layers are; None to name all lower directories by links.

    Returns:
        The mounts, and the links that they need.

    Raises:
        FailedPreconditionError: the options do not fit the page that mount(2) takes.
    """
    active = snapshot.kind is Kind.ACTIVE
    if active and snapshot.staged:
        stack = _stack((snapshot,), layout)
        return _overlay(snapshot, ("ro", *layout.options), stack, layout, path_of)
    over_nothing = active and not chain and label_rules.OVER_NOTHING in snapshot.labels
    if not chain and not over_nothing:
        return _bind(layout.files(snapshot.identifier), writable=active)
    if not active and len(chain) == 1 and not chain[0].remote:
        return _bind(layout.files(chain[0].identifier), writable=False)
    options = [*layout.options]
    if active:
        options += [
            f"workdir={layout.work(snapshot.identifier)}",
            f"upperdir={layout.files(snapshot.identifier)}",
        ]
    stack = [layout.hider] if over_nothing else _stack(chain, layout)
    return _overlay(snapshot, options, stack, layout, path_of)


def _overlay(
    snapshot: Snapshot,
    others: Sequence[str],
    stack: Sequence[Snapshot | str],
    layout: Layout,
    path_of: PathOf | None,
) -> MountPlan:
    if path_of is not None:
        paths = _paths(stack, layout, path_of)
        direct = None if paths is None else _direct(others, paths)
        if direct is not None:
            return MountPlan((Mount("overlay", "overlay", direct),))
    named = [one if isinstance(one, str) else layout.link(one.identifier) for one in stack]
    options = (*others, f"lowerdir={':'.join(named)}")
    _require_fitting(snapshot, options, named)
    links = () if path_of is None else tuple(_links(stack, path_of))
    return MountPlan((Mount("overlay", "overlay", options),), links)


def _paths(
    stack: Sequence[Snapshot | str], layout: Layout, path_of: PathOf
) -> Sequence[str] | None:
    paths: list[str] = []
    for one in stack:
        if isinstance(one, str):
            paths.append(one)
        elif one.layer is None:
            paths.append(layout.files(one.identifier))
        elif (path := path_of(one.layer)) is not None:
            paths.append(path)
        else:
            return None
    return paths


def _direct(others: Sequence[str], paths: Sequence[str]) -> tuple[str, ...] | None:
    joined = ":".join(paths)
    # Of all in one text, for this is asked for every container.
    if joined.count(":") >= len(paths) or any(special in joined for special in _SPECIAL):
        return None
    options = (*others, f"lowerdir={joined}")
    return options if _joined_bytes(options) < COMPACTED_FROM else None


def _links(stack: Sequence[Snapshot | str], path_of: PathOf) -> Iterator[Link]:
    for one in stack:
        if isinstance(one, str):
            continue
        path = None if one.layer is None else path_of(one.layer)
        # Where a layer is whose source is not configured any more, nobody knows.
        if one.layer is None or path is not None:
            yield Link(one.identifier, path)


def _require_fitting(snapshot: Snapshot, options: Sequence[str], stack: Sequence[str]) -> None:
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


def _bind(path: str, *, writable: bool) -> MountPlan:
    return MountPlan((Mount("bind", path, ("rw" if writable else "ro", "rbind")),))


def _joined_bytes(options: Iterable[str]) -> int:
    return sum(len(option.encode()) + 1 for option in options) - 1


def option_bytes(options: Iterable[str], stack: Sequence[str]) -> int:
    """Count the bytes of mount data that containerd will pass to the kernel.

    From a certain length on containerd changes into the common directory of the lower ones and
    names them from there.

    Args:
        options: the options, ``lowerdir`` among them.
        stack: the lower directories in it, by their links.

    Returns:
        Bytes, without the final NUL.
    """
    length = _joined_bytes(options)
    if length < COMPACTED_FROM or len(stack) < 2:  # noqa: PLR2004 - one has nothing in common
        return length
    # All links are in one directory, so what they have in common is at least that.
    shared = len(stack[0].rpartition("/")[0].encode()) + 1
    return length - shared * len(stack)


def _is_short(chain: Sequence[Snapshot], layout: Layout) -> bool:
    # Far from every limit, as most chains are: each remote layer comes by here, and stacking its
    # chain takes longer. Nothing is longer than the links of a companion.
    most = 1 + sum(1 if snapshot.companion is None else 3 for snapshot in chain)
    work, files = layout.work(_LONGEST), layout.files(_LONGEST)
    others = (*layout.options, f"workdir={work}", f"upperdir={files}", "lowerdir=")
    one = len(layout.above(_LONGEST).encode()) + 1
    return most <= MOST_LOWERS and _joined_bytes(others) + most * one <= OPTION_BYTES


def fits(chain: Sequence[Snapshot], layout: Layout) -> bool:
    """Tell whether a container could stand on a chain whose lower directories links name.

    Where layers are does not matter then, nor whether that changes.

    Args:
        chain: from the topmost to the bottom.
        layout: where things are.

    Returns:
        Whether an active snapshot with an identifier of 19 digits on top of it can be mounted.
    """
    if _is_short(chain, layout):
        return True
    longest = Snapshot(
        identifier=_LONGEST,
        name="",
        parent_identifier=1,
        parent="",
        kind=Kind.ACTIVE,
        created_at=0,
        updated_at=0,
        labels={},
    )
    try:
        plan_mounts(longest, chain, layout, None)
    except FailedPreconditionError:
        return False
    return True
