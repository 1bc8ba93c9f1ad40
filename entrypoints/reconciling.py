"""Comparing a state directory with what it should be, beside a daemon or without one."""

import os
from collections.abc import Iterator, Mapping
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
    with _readable(), ExitStack() as held:
        if not path.exists():
            raise StartError(f"{path} does not exist: no daemon has ever run on {root}")
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
    _require_daemons(wanted.config, store.read(lambda r: r.source_paths()))
    parts = compose(root, wanted.config, store, logger)
    held.callback(parts.probes.close)
    # Without their circuits: nothing closes one here, and each layer is asked for itself.
    context = attrs.evolve(parts.context, sources=parts.tended.plain)
    return Reconciliation(context, known, wanted.snapshotter, wanted.patience)


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


@contextmanager
def _readable() -> Iterator[None]:
    if os.geteuid() != 0:
        raise StartError("the records are root's: run this as root")
    try:
        yield
    except (DatabaseError, SnapshotterError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(f"{error.filename}: {error.strerror}") from error
