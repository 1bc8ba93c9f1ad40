"""Companions: small local directories that make overlayfs see a published layer as it is meant.

A layer is published as its tar was: ``.wh.<name>`` and ``.wh..wh..opq`` lie there as ordinary
files, and catalog markers of CVMFS among them. A companion ``below`` the layer holds what
overlayfs understands, character devices 0:0 and opaque directories; one ``above`` it hides the
markers and gives directories the mode and owner that they should have. This module plans them from
names alone.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence

import attrs

from .layer import WHITEOUT_PREFIX, Digest

OPAQUE = b".wh..wh..opq"
"""Marks a directory that hides everything the layers below have in it (OCI image
specification)."""


@attrs.frozen(order=True)
class Directory:
    """A directory and what an overlay shows of the topmost one of its path.

    Attributes:
        path: relative to the root of the layer, without slashes at its ends; empty for the root.
        mode: permission bits, with setuid, setgid and sticky.
        uid: owner.
        gid: group.
        mtime: time of modification, nanoseconds since the epoch.
    """

    path: bytes
    mode: int
    uid: int
    gid: int
    mtime: int

    def same_metadata(self, other: "Directory") -> bool:
        """Tell whether mode and owner are alike."""
        return (self.mode, self.uid, self.gid) == (other.mode, other.uid, other.gid)


@attrs.frozen
class Names:
    """What the names in a layer say about it; found once for each layer and kept.

    Attributes:
        entries: how many directory entries the layer has.
        markers: paths of whiteouts, opaque marks and catalog markers, except for the catalog
        markers
            that every layer has in its root.
        directories: every directory that holds a marker or looks implied, and all above them.
        implied: paths of directories that seem to have had no entry in the tar.
        owners: user and group IDs to which the layer's entries belong, at most a few of them.
        stamp: that of the hit under which the layer was scanned.
        unusable: path of a name that cannot be a whiteout although it begins like one; empty if
            there is none.
    """

    entries: int
    markers: tuple[bytes, ...] = ()
    directories: tuple[Directory, ...] = ()
    implied: tuple[bytes, ...] = ()
    owners: tuple[tuple[int, int], ...] = ()
    unusable: bytes = b""
    stamp: str = attrs.field(default="", eq=False)

    @property
    def whiteouts(self) -> tuple[bytes, ...]:
        """The markers that delete something of the layers below."""
        return tuple(m for m in self.markers if _name(m).startswith(WHITEOUT_PREFIX))

    @property
    def owners_lost(self) -> bool:
        """Whether all directories belong to one user who is not root, as no image's do."""
        return len(self.owners) == 1 and self.owners[0][0] != 0

    def hides_below(self, path: bytes) -> bool:
        """Tell whether the layer deletes what the layers below have at a path.

        Args:
            path: of a directory of this layer.
        """
        markers = set(self.markers)
        for step in (path, *_ancestors(path)):
            parent, name = _parent(step), _name(step)
            if _join(parent, WHITEOUT_PREFIX + name) in markers:
                return True
            if parent and _join(parent, OPAQUE) in markers:
                return True
        return False

    def without_whiteouts(self) -> "Names":
        """Give the names as if nothing in the layer deleted anything."""
        kept = tuple(m for m in self.markers if not _name(m).startswith(WHITEOUT_PREFIX))
        return attrs.evolve(self, markers=kept)


@attrs.frozen
class Plan:
    """What to make of a companion.

    Attributes:
        above: directories of the companion that lies above the layer, parents first.
        hidden: names in them that are hidden.
        below: directories of the companion that lies below the layer, parents first.
        opaque: paths of those that are opaque.
        deleted: names in them that are deleted from the layers further down.
    """

    above: tuple[Directory, ...] = ()
    hidden: tuple[bytes, ...] = ()
    below: tuple[Directory, ...] = ()
    opaque: tuple[bytes, ...] = ()
    deleted: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything is to be made at all."""
        return bool(self.above or self.below)

    @property
    def fingerprint(self) -> str:
        """A digest that two plans share exactly if they make the same companion."""
        return hashlib.sha256(json.dumps(_plain(attrs.astuple(self))).encode()).hexdigest()

    def fingerprint_for(self, digest: Digest) -> str:
        """Give what the companion of a layer is recorded under.

        Layers do not share companions: the kernel refuses a directory that occurs twice in a
        stack.

        Args:
            digest: of the layer.
        """
        return f"{digest.hex} {self.fingerprint}"


@attrs.frozen
class Companion:
    """A companion that has been made.

    Attributes:
        number: of its directory and links; never given twice.
        above: whether it has a directory to lie above the layer.
        below: whether it has one to lie below.
    """

    number: int
    above: bool
    below: bool


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def plan(names: Names, corrected: Sequence[Directory] = ()) -> Plan:
    """Say what companions a layer needs.

    An opaque mark in the root of a layer has no effect, as with containerd's own unpacking; it is
    hidden all the same.

    Args:
        names: of the layer.
        corrected: implied directories with the metadata that they should show.

    Returns:
        The plan; empty if the layer needs none.
    """
    if not names.markers and not corrected:
        # Most layers, whatever else is in them.
        return Plan()
    known = {d.path: d for d in names.directories} | {d.path: d for d in corrected}
    hidden, opaque, deleted = set(names.markers), set[bytes](), set[bytes]()
    for marker in names.whiteouts:
        directory, name = _parent(marker), _name(marker)
        if name != OPAQUE:
            deleted.add(_join(directory, name.removeprefix(WHITEOUT_PREFIX)))
        elif directory:
            opaque.add(directory)
    # What lies inside a deleted or opaque directory is out of sight already, and a deleted name
    # can have nothing inside it here.
    covers = deleted | opaque
    deleted = {path for path in deleted if covers.isdisjoint(_ancestors(path))}
    opaque = {
        path for path in opaque if path not in deleted and covers.isdisjoint(_ancestors(path))
    }
    above = _with_ancestors({_parent(path) for path in hidden} | {d.path for d in corrected})
    below = _with_ancestors({_parent(path) for path in deleted} | opaque)
    return Plan(
        above=tuple(known[path] for path in above),
        hidden=tuple(sorted(hidden)),
        below=tuple(known[path] for path in below),
        opaque=tuple(sorted(opaque)),
        deleted=tuple(sorted(deleted)),
    )


def _ancestors(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = _parent(path)
        yield path


def _with_ancestors(paths: Iterable[bytes]) -> list[bytes]:
    every: set[bytes] = set()
    for path in paths:
        every.update((path, *_ancestors(path), b""))
    # A path sorts before everything inside it.
    return sorted(every)
