"""Comparing a state directory with what it should be, beside a daemon or without one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.bolt import ContainerdError, read_records
from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.adapters.sqlite import DatabaseError, open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import REVISIONS, prepare_database, revision_of
from cvmfs_snapshotter.domain.containerd import ContainerdRecords
from cvmfs_snapshotter.domain.errors import SnapshotterError
from cvmfs_snapshotter.domain.findings import Finding
from cvmfs_snapshotter.domain.usecases.reconcile import Reconciliation

from .compose import compose
from .config import Config
from .errors import StartError
from .root import claim_root, database_path, plain_root


@attrs.frozen
class Wanted:
    """What is to be compared.

    Attributes:
        root: the state directory.
        config: the daemon's configuration.
        containerd_root: containerd's root directory.
        snapshotter: name of the proxy plugin in containerd's configuration.
        patience: seconds for each look at a source.
    """

    root: str
    config: Config
    containerd_root: str
    snapshotter: str
    patience: float


@attrs.frozen
class Compared:
    """What came of it.

    Attributes:
        findings: what does not fit.
        containerd: why containerd's records were not compared; empty if they were.
    """

    findings: tuple[Finding, ...]
    containerd: str


def compare(wanted: Wanted, logger: Logger) -> Compared:
    """Compare, and change nothing. A daemon may be running.

    What is in the middle of a change does not fit for a moment, so that only what two comparisons
    find counts.

    Args:
        wanted: what to compare.
        logger: takes lines.

    Returns:
        What does not fit.

    Raises:
        StartError: there is no state directory, or its records cannot be read.
    """
    root = plain_root(wanted.root)
    path = Path(database_path(root))
    with _readable(), ExitStack() as held:
        found = revision_of(path)
        if found is None:
            raise StartError(f"{path} does not exist: no daemon has ever run on {root}")
        if found != REVISIONS[-1]:
            raise StartError(
                f"{path} has schema {found!r}, and this release needs {REVISIONS[-1]!r}: start "
                "the daemon, which brings it there, and compare then"
            )
        first, containerd = _look(root, wanted, logger, held)
        again = _look(root, wanted, logger, held)[0] if first else []
    return Compared(tuple(one for one in again if one in first), containerd)


def mend(wanted: Wanted, logger: Logger) -> Compared:
    """Mend what is safe, and compare then. No daemon may be running.

    Args:
        wanted: what to compare.
        logger: takes lines.

    Returns:
        What still does not fit.

    Raises:
        StartError: a daemon is running, or the state directory cannot be used.
    """
    root = plain_root(wanted.root)
    path = Path(database_path(root))
    if not path.exists():
        raise StartError(f"{path} does not exist: no daemon has ever run on {root}")
    with _readable(), ExitStack() as held:
        held.callback(claim_root(root, fresh=True).release)
        prepare_database(path)
        _reconciliation(root, wanted, None, logger, held).mend()
        findings, containerd = _look(root, wanted, logger, held)
    return Compared(tuple(findings), containerd)


def _look(root: str, wanted: Wanted, logger: Logger, held: ExitStack) -> tuple[list[Finding], str]:
    # Before our records: what containerd gets meanwhile is then known to us, and not the reverse.
    known, why = _known(wanted)
    return _reconciliation(root, wanted, known, logger, held).inspect(), why


def _known(wanted: Wanted) -> tuple[ContainerdRecords | None, str]:
    try:
        return read_records(Path(wanted.containerd_root), wanted.snapshotter), ""
    except ContainerdError as error:
        return None, str(error)


def _reconciliation(
    root: str,
    wanted: Wanted,
    known: ContainerdRecords | None,
    logger: Logger,
    held: ExitStack,
) -> Reconciliation:
    # A daemon may be changing the records meanwhile.
    store = open_store(Path(database_path(root)), shared=True)
    held.callback(store.close)
    parts = compose(root, wanted.config, store, logger)
    held.callback(parts.probes.close)
    return Reconciliation(parts.context, known, wanted.snapshotter, wanted.patience)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (DatabaseError, SnapshotterError) as error:
        raise StartError(str(error)) from error
