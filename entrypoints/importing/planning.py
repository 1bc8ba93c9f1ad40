"""What an import would do."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.adapters.sqlite.replacing import is_interrupted
from cvmfs_snapshotter.domain.importing import ImportPlan
from cvmfs_snapshotter.domain.usecases.context import Context
from cvmfs_snapshotter.domain.usecases.import_snapshots import plan_import

from .. import databases
from ..compose import compose
from ..config import Config
from ..errors import StartError
from ..root import database_path, plain_root
from ..telling import require_root_user, told
from .journal import Stage, find_journal
from .old import Old, RunningError, find_old, held_still

_WAYS_ON = {
    Stage.MOVING: "was interrupted: end it with --apply, or go back with --undo",
    Stage.MOVED: "waits to be given back with --undo or made final with --confirm",
    Stage.CONFIRMING: "is being made final: end that with --confirm",
}


@attrs.frozen
class Wanted:
    """What is to be imported.

    Attributes:
        directory: root directory of the Go snapshotter.
        root: the state directory.
        address: path of the socket.
        config: the daemon's configuration.
        patience: seconds for each look at a source.
    """

    directory: str
    root: str
    address: str
    config: Config
    patience: float


@attrs.frozen
class Planned:
    """What would be done.

    Attributes:
        base: where the old state is.
        root: where it is to go.
        plan: by snapshot.
        running: why it could not be done right now: the Go snapshotter is running; else empty.
    """

    base: str
    root: str
    plan: ImportPlan
    running: str = ""


def preview(wanted: Wanted, logger: Logger) -> Planned:
    """Find out what an import would do. Nothing is changed, and the Go snapshotter may be running.

    Args:
        wanted: what is to be imported.
        logger: takes lines.

    Raises:
        StartError: nothing can be imported as things are.
    """
    require_root_user()
    root = plain_root(wanted.root)
    with told(), ExitStack() as held:
        require_new(root)
        old = find_old(wanted.directory)
        require_apart(old, root)
        running = ""
        try:
            held.enter_context(held_still(old, wanted.address))
        except RunningError as error:
            running = str(error)
        scratch = held.enter_context(tempfile.TemporaryDirectory())
        context = held.enter_context(composed(wanted, root, Path(scratch) / "new", logger))
        plan = plan_of(context, old, root, wanted.patience)
        return Planned(old.base, root, plan, running)


def plan_of(context: Context, old: Old, root: str, patience: float) -> ImportPlan:
    """Plan the import of an old state.

    Args:
        context: the ports of the new one, whose records are empty.
        old: the old state.
        root: the state directory.
        patience: seconds for each look at a source.

    Raises:
        StartError: its records cannot be read.
        ResourceExhaustedError: its directories cannot be read.
    """
    records = old.records()
    files = old.files(records, root)
    # The files of local snapshots are still there, in directories of the same names.
    there = attrs.evolve(context, layout=attrs.evolve(context.layout, root=old.base))
    return plan_import(there, records, files, patience)


@contextmanager
def composed(wanted: Wanted, root: str, database: Path, logger: Logger) -> Iterator[Context]:
    """Give the ports on new records.

    Args:
        wanted: has the configuration.
        root: the state directory.
        database: a new file for the records.
        logger: takes lines.
    """
    with ExitStack() as held:
        prepare_database(database)
        store = open_store(database)
        held.callback(store.close)
        parts = compose(root, wanted.config, store, logger)
        held.callback(parts.probes.close)
        # Without their circuits: each layer is asked for itself. And nothing is staged: each
        # layer has its parent already.
        yield attrs.evolve(parts.context, sources=parts.tended.plain, staged=False)


def require_new(root: str, *, claimed: bool = False) -> int:
    """Make sure that a state directory has nothing that could be lost.

    A daemon that started on it, as a package may do, has made records of nothing.

    Args:
        root: the state directory.
        claimed: the caller has its lock.

    Returns:
        A number above all identifiers that were given there.

    Raises:
        StartError: it has snapshots, records that cannot be read, or an import already.
    """
    written = find_journal(root)
    if written is not None:
        raise StartError(
            f"{root} holds an import from {written.journal.base} already, which "
            + _WAYS_ON[written.stage]
        )
    following = 1
    path = Path(database_path(root))
    if os.path.lexists(path) or is_interrupted(path):
        following = _require_empty(root, claimed=claimed)
    snapshots = Path(root) / "snapshots"
    if snapshots.is_dir() and any(snapshots.iterdir()):
        raise StartError(f"{snapshots} is not empty, though there are no records of it")
    return following


def _require_empty(root: str, *, claimed: bool) -> int:
    try:
        census, following = databases.read(
            root, lambda records: (records.census(), records.next_identifier()), claimed=claimed
        )
    except StartError as error:
        raise StartError(
            f"{root} has records of this snapshotter already, which cannot be looked at: {error}"
        ) from error
    count = sum(census.snapshots.values())
    if count:
        raise StartError(
            f"{root} has records of this snapshotter already, of {count} snapshots; only empty "
            "ones make way for an import. Remove the containers and images that stand on them "
            "from containerd, stop the daemon, and try again; or choose another --root"
        )
    return following


def require_apart(old: Old, root: str) -> None:
    """Make sure that directories can be renamed from the old state into the new one.

    Raises:
        StartError: the new one is inside of the old one, or on another file system.
    """
    real = os.path.realpath(root)
    if real == old.base or real.startswith(f"{old.base}/"):
        raise StartError(
            f"{root} is inside of the old state {old.base}, which is deleted in the end; choose "
            "another --root"
        )
    ours = Path(root)
    while not ours.exists():
        ours = ours.parent
    snapshots = Path(old.base) / "snapshots"
    if snapshots.stat().st_dev != ours.stat().st_dev:
        raise StartError(
            f"{snapshots} and {root} are on different file systems: directories are renamed, not "
            "copied, so that running containers keep theirs; choose another --root"
        )
