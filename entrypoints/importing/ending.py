"""The end of an import: making it final, or giving everything back."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.companions import DiskCompanions
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.directories.old import OldDirectories
from cvmfs_snapshotter.adapters.sqlite.replacing import finish_restore
from cvmfs_snapshotter.adapters.sqlite.untouched import beside
from cvmfs_snapshotter.adapters.unmount import unmount
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.ports.store import Position, Records

from .. import databases
from ..errors import StartError
from ..root import claim_root, database_path, plain_root
from ..telling import require_root_user, told
from .journal import (
    Journal,
    Stage,
    Written,
    end_journal,
    find_journal,
    forget_journal,
    reopen_journal,
)
from .old import Old, held_still

_PAGE = 1000
_SHOWN = 5


@attrs.frozen
class Confirmed:
    """What was given up.

    Attributes:
        base: where the old state was.
        unmounted: mounts of layers that were taken away.
        left: what is in the old directory that does not belong to a snapshotter.
    """

    base: str
    unmounted: int
    left: tuple[str, ...]


def confirm(root: str, *, discard: bool = False) -> Confirmed:
    """Give the old state up, with all that was left out. Our daemon may be running.

    Args:
        root: the state directory.
        discard: give up also what the Go snapshotter has made since the import.

    Returns:
        What was given up.

    Raises:
        StartError: there is no import, something of the old state is in use, or is younger than
            the import. Whatever was done until then need not be done again.
    """
    root = plain_root(root)
    require_root_user()
    with told():
        old = Old(_done(root).journal.base)
        unmounted = 0
        if os.path.lexists(old.base):
            with ExitStack() as held:
                if os.path.lexists(old.database):
                    held.enter_context(held_still(old, ""))
                # Whoever gives it back holds the same lock, and may just have ended.
                unmounted = _give_up(old, root, _done(root), discard=discard)
        left = _remove_base(old)
        forget_journal(root)
    return Confirmed(old.base, unmounted, left)


def _done(root: str) -> Written:
    written = find_journal(root)
    if written is None or written.stage is Stage.MOVING:
        raise StartError(f"{root} holds no import that could be confirmed")
    return written


def _give_up(old: Old, root: str, written: Written, *, discard: bool) -> int:
    journal = written.journal
    directories = OldDirectories(old.base, root)
    there = directories.still_there(journal.directories)
    if there:
        raise StartError(
            f"{old.base}/snapshots/{min(there)} is there again, though it was moved to {root}; "
            "nothing was deleted. Look at it, and move it away"
        )
    if not discard:
        _require_nothing_younger(old, root, journal)
    points = old.mount_points()
    for point in points:
        try:
            unmount(point)
        except OSError as error:
            raise StartError(
                f"{point} cannot be unmounted: {error.strerror}. `fuser -vm {point}` shows who "
                "uses it; nothing was deleted"
            ) from error
    # The rest is deleted only where nothing of a source could be reached.
    left = old.mount_points()
    if left:
        raise StartError(f"{left[0]} is still mounted; nothing was deleted")
    # From here on there is less and less that could be given back.
    if written.stage is Stage.MOVED:
        end_journal(root)
    if os.path.lexists(f"{old.base}/snapshots"):
        directories.remove_rest()
    Path(old.database).unlink(missing_ok=True)
    return len(points)


def _require_nothing_younger(old: Old, root: str, journal: Journal) -> None:
    # Somebody started the Go snapshotter again: containers may have their files here alone.
    known = {*journal.snapshots, *journal.left_out}
    found = old.records() if os.path.lexists(old.database) else ()
    younger = [f"{r.identifier} {r.name!r}" for r in found if (r.identifier, r.name) not in known]
    there = old.entries(root) if os.path.lexists(f"{old.base}/snapshots") else ()
    younger += [f"snapshots/{name}" for name in there if name not in journal.entries]
    if younger:
        raise StartError(
            f"the Go snapshotter was started after the import: {old.base} holds "
            f"{len(younger)} records and directories that were not there then: "
            f"{_first(younger)}; nothing was deleted. Copy what is wanted from "
            f"{old.base}/snapshots/<id>/fs, and remove the containers and images that "
            "`cvmfs-snapshotter reconcile` names. Then --confirm --discard deletes these too"
        )


def _first(texts: Sequence[str]) -> str:
    return f"{', '.join(texts[:_SHOWN])}{' and others' if len(texts) > _SHOWN else ''}"


def _remove_base(old: Old) -> tuple[str, ...]:
    base = Path(old.base)
    if not base.exists():
        return ()
    left = tuple(sorted(path.name for path in base.iterdir()))
    if not left:
        base.rmdir()
    return left


def undo(root: str, *, discard: bool = False) -> Journal:
    """Give everything back to the Go snapshotter. No daemon may be running.

    Args:
        root: the state directory.
        discard: delete what was made since the import, whatever our records say of it, also if
            they cannot be read.

    Returns:
        What had been taken over.

    Raises:
        StartError: there is no import, a daemon is running, or there are, or may be, snapshots by
            now of which the Go snapshotter would know nothing; nothing was changed then.
    """
    root = plain_root(root)
    require_root_user()
    with told(), ExitStack() as held:
        written = find_journal(root)
        if written is None:
            raise StartError(f"{root} holds no import that could be undone")
        if written.stage is Stage.CONFIRMING:
            raise StartError(
                f"the import into {root} is being made final, and some of the old state is "
                "deleted: nothing can be given back. End that with --confirm; a daemon may run"
            )
        journal = written.journal
        held.enter_context(held_still(Old(journal.base), ""))
        held.callback(claim_root(root, fresh=True, importing=True).release)
        if find_journal(root) != written:
            raise StartError(f"the import into {root} has just been changed; look again")
        if written.stage is Stage.MOVED:
            if not discard:
                _require_unchanged(root, journal)
            reopen_journal(root)
        OldDirectories(journal.base, root).take_back(journal.directories)
        _forget(root)
        forget_journal(root)
    return journal


def _require_unchanged(root: str, journal: Journal) -> None:
    known = set(journal.snapshots)
    try:
        found = databases.read(root, _all)
    except StartError as error:
        raise StartError(
            f"{error}\nSo it cannot be told whether snapshots were made since the import; nothing "
            "was changed. --undo --discard goes back even so, and deletes the files of such"
        ) from error
    new = [name for identifier, name in found if (identifier, name) not in known]
    if new:
        raise StartError(
            f"{len(new)} snapshots were made since the import, of which the Go snapshotter would "
            f"know nothing: {_first([repr(name) for name in new])}. Remove their containers and "
            "images first; nothing was changed"
        )


def _all(records: Records) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    after: Position | None = None
    while page := records.page(Pins(), after, _PAGE):
        found += [(snapshot.identifier, snapshot.name) for snapshot in page]
        after = Position.of(page[-1])
    return found


def _forget(root: str) -> None:
    path = Path(database_path(root))
    finish_restore(path)
    # What has the final name first: as long as there is something staged, that is what counts. And
    # the file itself before its WAL, without which it would look whole.
    for suffix in ("", "-wal", "-shm"):
        beside(path, suffix).unlink(missing_ok=True)
    for found in path.parent.glob(f"{path.name}.importing*"):
        found.unlink()
    directories, companions = DiskDirectories(root), DiskCompanions(Path(root))
    for identifier in directories.present():
        directories.remove(identifier)
    for number in companions.present():
        companions.remove(number)
