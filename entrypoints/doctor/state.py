"""The state directory and the records in it."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from cvmfs_snapshotter.adapters import kernel
from cvmfs_snapshotter.domain.companions import Companion
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.mounts import Layout, fits
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot

from .. import databases
from ..errors import StartError
from ..recipe import in_bytes
from ..root import database_path, plain_root
from ..trust import distrust
from .result import Result, failure, passed, quoted, warning

LITTLE_BYTES = 1_000_000_000
LITTLE_SHARE = 0.05
"""Below either the disk is taken to be nearly full."""

MOST_LAYERS = 127
"""Most layers of an image that Docker and BuildKit make."""

_NUMBERS = 1_000_000
"""Identifiers take as many digits on a node that has run for years."""

_ANOTHER = (
    "choose a directory on a local disk: drain the node, name the directory with --root of the "
    "daemon and in exports of containerd's proxy plugin, and restart both"
)

_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "fuse", "fuseblk", "lustre"})


def check_state(root: str) -> Iterator[Result]:
    """Check all about a state directory.

    Args:
        root: its path, as it was given.
    """
    try:
        plain = plain_root(root)
        found = os.lstat(plain)
    except StartError as error:
        yield failure("state-directory", str(error), advice=("choose another path with --root",))
        return
    except OSError as error:
        yield failure(
            "state-directory",
            f"{root}: {error.strerror}; the daemon makes it when it starts first",
            "systemctl start cvmfs-snapshotter",
        )
        return
    yield check_owner(plain, found)
    yield check_kind(plain)
    yield check_space(plain)
    yield check_page(plain)
    yield check_records(plain)


def check_owner(root: str, found: os.stat_result) -> Result:
    """Tell whether the state directory is for root alone.

    Args:
        root: its path.
        found: what lstat(2) tells of it.
    """
    name = "state-directory"
    if not stat.S_ISDIR(found.st_mode):
        return failure(
            name,
            f"{root} is no directory",
            f"ls -ld {quoted(root)}",
            advice=("move away what is there, or choose another place with --root",),
        )
    reason = distrust(found)
    if reason:
        return failure(
            name,
            f"{root}: {reason}",
            f"chown root:root {quoted(root)}",
            f"chmod 700 {quoted(root)}",
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        return warning(
            name,
            f"{root} has mode {mode:04o}; the daemon makes it 0700 when it starts",
            f"chmod 700 {quoted(root)}",
        )
    return passed(name, f"{root} is for root alone")


def check_kind(root: str, kind_of: Callable[[str], str] = kernel.file_system) -> Result:
    """Tell whether the file system of the state directory is a local one.

    Args:
        root: its path.
        kind_of: tells the type of a file system.
    """
    name = "state-file-system"
    try:
        kind = kind_of(root)
    except OSError as error:
        return warning(name, f"{root}: {error.strerror}", f"findmnt --target {quoted(root)}")
    if kind in _NETWORK or kind.startswith("fuse."):
        return failure(
            name,
            f"{root} is on {kind}: neither SQLite's WAL nor overlayfs's upper directories work on "
            "a network or FUSE file system",
            *_moving(root),
            advice=(_ANOTHER,),
        )
    if kind == "tmpfs":
        return warning(
            name,
            f"{root} is on tmpfs: a reboot forgets it while containerd remembers",
            *_moving(root),
            advice=(_ANOTHER,),
        )
    return passed(name, f"{root} is on {kind or 'an unknown file system'}")


def _moving(root: str) -> tuple[str, ...]:
    return (
        "findmnt --real --output TARGET,FSTYPE,AVAIL",
        f"cvmfs-snapshotter drain --plan --root {quoted(root)}",
    )


def check_space(root: str, ask: Callable[[str], os.statvfs_result] = os.statvfs) -> Result:
    """Tell whether there is space left for layers that are downloaded.

    Args:
        root: the state directory.
        ask: tells how full a file system is.
    """
    name = "free-space"
    mend = "crictl rmi --prune"
    try:
        found = ask(root)
    except OSError as error:
        return warning(name, f"{root}: {error.strerror}", f"findmnt --target {quoted(root)}")
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    if found.f_flag & os.ST_RDONLY:
        return failure(
            name, f"the file system of {root} is read-only", f"mount -o remount,rw {quoted(root)}"
        )
    if not free or (found.f_files and not found.f_favail):
        what = "byte" if not free else "inode"
        return failure(name, f"not one {what} is free on the file system of {root}", mend)
    said = f"{in_bytes(free)} of {in_bytes(size)} are free on the file system of {root}"
    if free < LITTLE_BYTES or free < size * LITTLE_SHARE:
        return warning(name, said, mend)
    if found.f_files and found.f_favail < found.f_files * LITTLE_SHARE:
        return warning(
            name, f"{found.f_favail} inodes are free on the file system of {root}", mend
        )
    return passed(name, said)


def check_page(root: str) -> Result:
    """Tell how many layers fit the page that mount(2) takes options in.

    Args:
        root: the state directory; the longer its path, the fewer.
    """
    name = "page-budget"
    most = layers_that_fit(root)
    if most < MOST_LAYERS:
        return warning(
            name,
            f"with {root} as the state directory, of an image of more than {most} layers the rest "
            f"is downloaded; there are images of {MOST_LAYERS}",
            f"cvmfs-snapshotter drain --plan --root {quoted(root)}",
            advice=("drain the node, then choose a shorter path with --root",),
        )
    return passed(
        name, f"an image of {most} layers can be mounted, if every second one has whiteouts"
    )


def layers_that_fit(root: str) -> int:
    """Give the most remote layers that a container can stand on, every second with companions."""
    layout = Layout(root, kernel.overlay_options())
    chain: list[Snapshot] = []
    for number in range(1, MOST_LAYERS * 2):
        chain.append(_remote(number))
        if not fits(chain, layout):
            return number - 1
    return len(chain)


def _remote(number: int) -> Snapshot:
    return Snapshot(
        identifier=_NUMBERS + number,
        name=str(number),
        parent_identifier=1,
        parent="",
        kind=Kind.COMMITTED,
        created_at=0,
        updated_at=0,
        labels={},
        layer=Layer("", Digest(f"{number:064x}")),
        companion=Companion(2 * _NUMBERS + number, above=True, below=True) if number % 2 else None,
    )


def check_records(root: str) -> Result:
    """Look the database over.

    Args:
        root: the state directory.
    """
    name = "records"
    if not Path(database_path(root)).exists():
        return warning(
            name,
            f"there are no records in {root}: no daemon has run on it",
            "systemctl start cvmfs-snapshotter",
        )
    try:
        problems = databases.check(root)
    except StartError as error:
        return failure(name, str(error), f"cvmfs-snapshotter db check --root {quoted(root)}")
    if problems:
        return failure(
            name,
            f"the records are damaged: {problems[0]}",
            f"cvmfs-snapshotter db check --root {quoted(root)}",
            "systemctl stop cvmfs-snapshotter",
            f"cvmfs-snapshotter db restore --root {quoted(root)} {quoted(root)}/backups/FILE",
        )
    return passed(name, f"{database_path(root)} is sound")
