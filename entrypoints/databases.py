"""What an operator does to the records of a state directory."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TypeAlias, TypeVar

import attrs

from cvmfs_snapshotter.adapters.companions import DiskCompanions
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.backup import back_up, back_up_to
from cvmfs_snapshotter.adapters.sqlite.check import looking, problems
from cvmfs_snapshotter.adapters.sqlite.migrate import (
    REVISIONS,
    downgrade,
    prepare_database,
    revision_of,
)
from cvmfs_snapshotter.adapters.sqlite.replacing import finish_restore, is_interrupted, replace
from cvmfs_snapshotter.adapters.sqlite.restore import look_at, require_backup, staged
from cvmfs_snapshotter.adapters.sqlite.session import SqliteRecords
from cvmfs_snapshotter.domain.ports.store import Records
from cvmfs_snapshotter.domain.usecases.restored import disown

from .errors import InUseError, StartError
from .locks import take_existing_lock
from .root import DATABASE, claim_root, database_path, plain_root, require_own_files
from .telling import require_root_user, told
from .trust import distrust

T = TypeVar("T")

Reading: TypeAlias = Callable[[Records], T]
"""Reads records, and has no other effect."""

UNCERTAIN = 10_000
"""Identifiers that are passed over where the replaced records cannot tell how many were given."""


@attrs.frozen
class Restored:
    """What a restore did.

    Attributes:
        kept: where the replaced database is now; None if there was none.
        unknown: directories, links and companions of which the backup knows nothing.
    """

    kept: Path | None
    unknown: int


def current(root: str) -> tuple[str | None, tuple[str, ...]]:
    """Give the schema of the records; a daemon may be running.

    Args:
        root: the state directory.

    Returns:
        The revision, None if there are no records; and those that this release knows, the one
        that it needs last.

    Raises:
        StartError: they cannot be read, or there is no such directory.
    """
    path = _path(root)
    with told(), _beside(root):
        require_finished(path)
        return revision_of(path), REVISIONS


def check(root: str) -> list[str]:
    """Look the records over; a daemon may be running.

    Args:
        root: the state directory.

    Returns:
        What is wrong, in words; nothing if they are sound.

    Raises:
        StartError: there are none, they cannot be read, or have another schema.
    """
    path = _path(root)
    with told(), _beside(root) as in_use:
        require_finished(path)
        revision = _require_records(path)
        if revision != REVISIONS[-1]:
            raise StartError(
                f"{path} has schema {revision!r}; this release knows what must be in "
                f"{REVISIONS[-1]!r}"
            )
        return problems(path, in_use=in_use)


def read(root: str, operation: Reading[T], *, claimed: bool = False) -> T:
    """Read what is recorded, and change nothing; a daemon may be running.

    Args:
        root: the state directory.
        operation: reads, and does not take long: no daemon can start meanwhile.
        claimed: the caller has the lock of the state directory.

    Returns:
        What the operation returned.

    Raises:
        StartError: there are no records, they cannot be read, or have another schema.
    """
    path = _path(root)
    with told(), nullcontext(False) if claimed else _beside(root) as in_use:  # noqa: FBT003
        require_finished(path)
        revision = _require_records(path)
        if revision != REVISIONS[-1]:
            raise StartError(
                f"{path} has schema {revision!r}, and this release reads {REVISIONS[-1]!r}: start "
                "the daemon of this release, which brings it there"
            )
        with looking(path, in_use=in_use) as database:
            return operation(SqliteRecords(database))


def backup(root: str, target: str) -> Path:
    """Back the records up; a daemon may be running.

    Args:
        root: the state directory.
        target: the new file; empty for one beside those that migrations make.

    Returns:
        The backup.

    Raises:
        StartError: there are no records, or the backup cannot be made.
    """
    path = _path(root)
    with told(), _beside(root):
        require_finished(path)
        revision = _require_records(path)
        if not target:
            return back_up(path, path.parent / "backups", revision)
        back_up_to(path, Path(target))
        return Path(target)


def restore(root: str, source: str) -> Restored:
    """Put a backup in the place of the records, which are kept. No daemon may be running.

    Args:
        root: the state directory.
        source: the backup.

    Returns:
        What was done.

    Raises:
        StartError: a daemon is running, or the backup cannot be used; nothing was changed then.
    """
    path = _path(root)
    with told():
        require_backup(Path(source))
    with told(), _claimed(root):
        finish_restore(path)
        before = look_at(path)
        there = path.exists()
        with staged(Path(source), path) as copy:
            directories, companions = DiskDirectories(root), DiskCompanions(Path(root))
            directories.prepare()
            store = open_store(copy)
            try:
                given = store.read(lambda r: r.next_identifier())
                unknown = disown(
                    store,
                    directories,
                    companions,
                    buried=before.buried if before else (),
                    given=max(given, before.following) if before else given + UNCERTAIN,
                )
            finally:
                store.close()
            kept = replace(copy, path)
        return Restored(kept if there else None, unknown)


def upgrade(root: str) -> tuple[str, str]:
    """Bring the records to the newest schema, as a start does. No daemon may be running.

    Args:
        root: the state directory.

    Returns:
        The revisions before and after.

    Raises:
        StartError: a daemon is running, there are no records, or it failed; they are as before.
    """
    path = _path(root)
    with told(), _claimed(root):
        finish_restore(path)
        before = _require_records(path)
        require_own_files(root)
        prepare_database(path)
        return before, REVISIONS[-1]


def go_back(root: str, revision: str) -> tuple[str, Path]:
    """Bring the records to the schema of an older release. No daemon may be running.

    Args:
        root: the state directory.
        revision: that schema.

    Returns:
        The revision before, and the backup that was made.

    Raises:
        StartError: a daemon is running, there are no records, or it failed; they are as before.
    """
    path = _path(root)
    with told(), _claimed(root):
        finish_restore(path)
        before = _require_records(path)
        require_own_files(root)
        return before, downgrade(path, revision)


def _path(root: str) -> Path:
    require_root_user()
    path = Path(database_path(plain_root(root)))
    if not path.parent.is_dir():
        raise StartError(f"there is no state directory {path.parent}")
    return path


def require_finished(path: Path) -> None:
    """Refuse to read records that a restore was about to replace.

    Args:
        path: of the database. A daemon that runs has finished what it found.

    Raises:
        StartError: a restore was begun, and has not ended.
    """
    if is_interrupted(path):
        raise StartError(
            f"a restore of {path} was interrupted, or is under way, and what is there now is not "
            "what will count: start the daemon, which finishes it, or run "
            "`cvmfs-snapshotter db upgrade`"
        )


def _require_records(path: Path) -> str:
    revision = revision_of(path)
    if revision is None:
        raise StartError(f"there are no records in {path.parent}: {DATABASE} does not exist")
    return revision


@contextmanager
def _claimed(root: str) -> Iterator[None]:
    try:
        lock = claim_root(plain_root(root), fresh=True)
    except InUseError as error:
        raise StartError(f"{error}. Stop the daemon first; containers go on meanwhile") from None
    with ExitStack() as held:
        held.callback(lock.release)
        yield


@contextmanager
def _beside(root: str) -> Iterator[bool]:
    """Keep a daemon from starting for the time of the block, or tell that one is running."""
    # Whoever only reads makes nothing, also in a directory that is not ours.
    reason = distrust(os.stat(plain_root(root)))  # noqa: PTH116 - paths are texts here
    if reason:
        raise StartError(f"the state directory {root} cannot be relied on: {reason}")
    try:
        lock = take_existing_lock(f"{plain_root(root)}/lock", f"the state directory {root}")
    except InUseError:
        yield True
        return
    with ExitStack() as held:
        if lock is not None:
            held.callback(lock.release)
        yield False
