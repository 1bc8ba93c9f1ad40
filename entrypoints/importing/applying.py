"""Taking over the state of the Go snapshotter.

1. The new records are made beside their place, with links and companions.
2. The journal is written; from here on no daemon starts.
3. Directories are renamed, each leaving a link at its old place.
4. The records get their name, and the journal says that all is done.

Up to 2 an interruption leaves nothing that counts, and the next try begins anew. From there on the
next try goes on.
"""

from contextlib import ExitStack
from pathlib import Path

from cvmfs_snapshotter.adapters.companions import DiskCompanions
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.directories.old import OldDirectories
from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.adapters.sqlite.replacing import finish_restore, replace
from cvmfs_snapshotter.adapters.sqlite.sealing import seal
from cvmfs_snapshotter.domain.usecases import upkeep
from cvmfs_snapshotter.domain.usecases.import_snapshots import record_import

from ..errors import StartError
from ..root import claim_root, database_path, plain_root
from ..telling import require_root_user, told
from .journal import Journal, Stage, close_journal, find_journal, open_journal
from .old import Old, find_old, held_still
from .planning import Planned, Wanted, composed, plan_of, require_apart, require_new


class IncompleteError(StartError):
    """Not everything can be imported.

    Attributes:
        planned: what could be, and what not.
    """

    def __init__(self, planned: Planned) -> None:
        """Take the plan."""
        self.planned = planned
        super().__init__(
            f"{len(planned.plan.left_out)} snapshots cannot be imported; the state of the Go "
            "snapshotter was not touched"
        )


def apply(wanted: Wanted, logger: Logger, *, skip_missing: bool) -> Journal:
    """Import, or go on with an import that was interrupted.

    Args:
        wanted: what is to be imported.
        logger: takes lines.
        skip_missing: leave out what can never be imported.

    Returns:
        What was taken over.

    Raises:
        IncompleteError: something cannot be imported; nothing was changed.
        StartError: nothing can be imported as things are.
    """
    require_root_user()
    root = plain_root(wanted.root)
    with told(), ExitStack() as held:
        written = _begun(root)
        if written is None:
            require_new(root)
            old = find_old(wanted.directory)
            require_apart(old, root)
        else:
            old = Old(written.base)
        held.enter_context(held_still(old, wanted.address))
        held.callback(claim_root(root, fresh=True, importing=True).release)
        if _begun(root) != written:
            raise StartError(f"another import into {root} has just ended; look again")
        journal = written or _record(wanted, old, root, logger, skip_missing=skip_missing)
        _move(root, journal)
    return journal


def _begun(root: str) -> Journal | None:
    """Give the import that was interrupted, if there is one."""
    written = find_journal(root)
    return written.journal if written is not None and written.stage is Stage.MOVING else None


def _record(wanted: Wanted, old: Old, root: str, logger: Logger, *, skip_missing: bool) -> Journal:
    following = require_new(root, claimed=True)
    staged = _staged(root)
    _clear(root, staged)
    with ExitStack() as undo:
        undo.callback(_clear, root, staged)
        with composed(wanted, root, staged, logger) as context:
            plan = plan_of(context, old, root, wanted.patience)
            if any(not (skip_missing and one.final) for one in plan.left_out):
                raise IncompleteError(Planned(old.base, root, plan))
            # What a daemon gave while it had records of nothing is not given again.
            context.store.raise_identifiers(following - 1)
            record_import(context, plan)
            upkeep.follow_sources(
                context, {source.name: source.host_path for source in wanted.config.sources}
            )
            context.directories.settle()
        seal(staged)
        journal = Journal(
            old.base,
            plan.directories,
            snapshots=tuple((i.snapshot.identifier, i.snapshot.name) for i in plan.imported),
            left_out=tuple((o.record.identifier, o.record.name) for o in plan.left_out),
            entries=old.entries(root),
        )
        undo.pop_all()
    open_journal(root, journal)
    return journal


def _move(root: str, journal: Journal) -> None:
    staged, path = _staged(root), Path(database_path(root))
    finish_restore(path)
    if not staged.exists() and not path.exists():
        raise StartError(
            f"{root} holds an import that was being undone: end that with "
            "`cvmfs-snapshotter import --undo`"
        )
    OldDirectories(journal.base, root).hand_over(journal.directories)
    if staged.exists():
        replace(staged, path)
    close_journal(root)


def _staged(root: str) -> Path:
    path = Path(database_path(root))
    return path.with_name(f"{path.name}.importing")


def _clear(root: str, staged: Path) -> None:
    """Make the state directory ready, without what an interrupted try has left."""
    for left in staged.parent.glob(f"{staged.name}*"):
        left.unlink()
    directories, companions = DiskDirectories(root), DiskCompanions(Path(root))
    directories.prepare()
    for number in companions.present():
        companions.remove(number)
    # Links alone: `snapshots` is empty.
    for identifier in directories.present():
        directories.remove(identifier)
