"""Comparing a state directory with what it should be, beside a daemon or without one."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.bolt import ContainerdError, read_records
from cvmfs_snapshotter.adapters.logs.logger import Logger
from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import REVISIONS, prepare_database, revision_of
from cvmfs_snapshotter.domain.containerd import ContainerdRecords
from cvmfs_snapshotter.domain.findings import Finding
from cvmfs_snapshotter.domain.usecases.reconcile import Reconciliation

from .compose import compose
from .config import Config
from .databases import require_finished
from .errors import StartError
from .root import claim_root, database_path, plain_root
from .telling import require_root_user, told


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
    require_root_user()
    with told(), ExitStack() as held:
        found = revision_of(path)
        if found is None:
            raise StartError(f"{path} does not exist: no daemon has ever run on {root}")
        require_finished(path)
        if found != REVISIONS[-1]:
            raise StartError(
                f"{path} has schema {found!r}, and this release needs {REVISIONS[-1]!r}: start "
                "the daemon, which brings it there, and compare then"
            )
        reconciliation = _reconciliation(root, wanted, logger, held)
        first, containerd = _look(reconciliation, wanted)
        again: list[Finding] = []
        if first:
            again, then = _look(reconciliation, wanted)
            containerd = containerd or then
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
    require_root_user()
    with told(), ExitStack() as held:
        if not path.exists():
            raise StartError(f"{path} does not exist: no daemon has ever run on {root}")
        held.callback(claim_root(root, fresh=True).release)
        prepare_database(path)
        reconciliation = _reconciliation(root, wanted, logger, held)
        reconciliation.mend()
        findings, containerd = _look(reconciliation, wanted)
    return Compared(tuple(findings), containerd)


def _look(reconciliation: Reconciliation, wanted: Wanted) -> tuple[list[Finding], str]:
    # Before our records: what containerd gets meanwhile is then known to us, and not the reverse.
    known, why = _known(wanted)
    return attrs.evolve(reconciliation, known=known).inspect(), why


def _known(wanted: Wanted) -> tuple[ContainerdRecords | None, str]:
    try:
        return read_records(Path(wanted.containerd_root), wanted.snapshotter), ""
    except ContainerdError as error:
        return None, str(error)


def _reconciliation(root: str, wanted: Wanted, logger: Logger, held: ExitStack) -> Reconciliation:
    # A daemon may be changing the records meanwhile.
    store = open_store(Path(database_path(root)), shared=True)
    held.callback(store.close)
    _require_daemons(wanted.config, store.read(lambda r: r.source_paths()))
    parts = compose(root, wanted.config, store, logger)
    held.callback(parts.probes.close)
    # Without their circuits: nothing closes one here, and each layer is asked for itself.
    context = attrs.evolve(parts.context, sources=parts.tended.plain)
    return Reconciliation(context, None, wanted.snapshotter, wanted.patience)


def _require_daemons(config: Config, recorded: Mapping[str, str]) -> None:
    """Refuse a configuration by which everything would look lost, or be linked elsewhere."""
    for source in config.sources:
        path = recorded.get(source.name, source.host_path)
        if path != source.host_path:
            raise StartError(
                f"the daemon had source {source.name!r} at {path}, and this configuration has it "
                f"at {source.host_path}: give the daemon's configuration with --config, or start "
                "the daemon with this one first"
            )
