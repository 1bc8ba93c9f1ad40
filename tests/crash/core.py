"""The daemon without its server: opened on a state directory as the daemon does at its start."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import attrs
import structlog

from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.layers.worker.__main__ import answer
from cvmfs_snapshotter.adapters.sqlite import migrate, open_store
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.snapshot import Snapshot
from cvmfs_snapshotter.domain.usecases.context import Context
from cvmfs_snapshotter.domain.usecases.snapshotter import LayerSnapshotter
from cvmfs_snapshotter.entrypoints import compose as composition
from cvmfs_snapshotter.entrypoints import daemon
from cvmfs_snapshotter.entrypoints.compose import compose
from cvmfs_snapshotter.entrypoints.config import Config
from cvmfs_snapshotter.migrations.run import configuration
from cvmfs_snapshotter.migrations.run import migrate as run_migration

from .steps import Steps, counted

SOURCE = "tests"
_EVERYTHING = 100_000


class DirectProber:
    """Answers what probe processes would, in this process: a fork of it is cheap then."""

    def ask(self, request: Mapping[str, object], _seconds: float) -> Mapping[str, object]:
        """See ``Prober.ask``."""
        plain: Mapping[str, object] = json.loads(json.dumps(answer(dict(request), lambda _: None)))
        return plain

    def follow(
        self,
        _key: str,
        request: Mapping[str, object],
        finished: Callable[[Mapping[str, object]], None],
        _patience: float,
        _limit: float,
    ) -> Mapping[str, object]:
        """See ``Prober.follow``."""
        found = self.ask(request, 0.0)
        finished(found)
        return found

    def close(self) -> None:
        """There is no process to end."""


@attrs.frozen
class Place:
    """Where a core works.

    Attributes:
        root: the state directory.
        repository: root of the tree with unpacked layers.
        host_path: the same as containerd is said to mount it.
        scripts: directory of migrations, if they are others than the program's.
        revisions: the revisions in there.
    """

    root: Path
    repository: Path
    host_path: str
    scripts: str = ""
    revisions: tuple[str, ...] = migrate.REVISIONS

    @property
    def database(self) -> Path:
        """The records."""
        return self.root / "metadata.sqlite"

    @property
    def source(self) -> SourceSettings:
        """The one source."""
        return SourceSettings(
            name=SOURCE,
            kind="directory",
            repository="",
            path=str(self.repository),
            host_path=self.host_path,
        )


@attrs.frozen
class Core:
    """An opened core.

    Attributes:
        context: the ports.
        snapshotter: does what containerd asks.
        errors: what was logged at error level.
    """

    context: Context
    snapshotter: LayerSnapshotter
    errors: list[str]

    def records(self) -> list[Snapshot]:
        """Give all snapshots."""
        return list(self.context.store.read(lambda r: r.page(Pins(), None, _EVERYTHING)))

    def record(self, name: str) -> Snapshot:
        """Give the snapshot of that name."""
        found = self.context.store.read(lambda r: r.get(name))
        assert found is not None
        return found


@contextmanager
def opened(place: Place, steps: Steps | None = None) -> Iterator[Core]:
    """Start a core: everything that the daemon does before it serves. It syncs nothing.

    Args:
        place: where.
        steps: counts the core's steps.
    """
    with counted(steps or Steps()), started(place) as core:
        yield core


@contextmanager
def started(place: Place) -> Iterator[Core]:
    """Start a core that syncs what it writes; see ``opened``."""
    with ExitStack() as held:
        _migrations_in_process(place, held)
        held.enter_context(
            mock.patch.object(composition, "ProbePool", return_value=DirectProber())
        )
        os.makedirs(place.root, mode=0o700, exist_ok=True)  # noqa: PTH103 - as the daemon does
        errors: list[str] = []
        logger, config = _logger(errors), Config((place.source,))
        log: Any = SimpleNamespace(logger=logger)
        store = held.enter_context(daemon._open_store(str(place.root), log))
        DiskDirectories(str(place.root)).prepare()
        parts = compose(str(place.root), config, store, logger)
        daemon._tidy(parts, config)
        yield Core(parts.context, parts.snapshotter, errors)


@contextmanager
def looked_at(place: Place) -> Iterator[Core]:
    """Read what a daemon that serves has; nothing is done to it."""
    store = open_store(place.database)
    try:
        parts = compose(str(place.root), Config((place.source,)), store, _logger([]))
        yield Core(parts.context, parts.snapshotter, [])
    finally:
        store.close()


def _migrations_in_process(place: Place, held: ExitStack) -> None:
    """Run migrations here, where they can be interrupted, instead of in a process of their own."""
    config = configuration(place.scripts) if place.scripts else configuration()

    def run(path: Path, direction: str, revision: str, _backup: object, _lock: int) -> None:
        run_migration(path, direction, revision, config)

    held.enter_context(mock.patch.object(migrate, "_migrate", run))
    held.enter_context(mock.patch.object(migrate, "REVISIONS", place.revisions))


def _logger(errors: list[str]) -> Any:
    def keep(_logger: object, _method: str, event: Any) -> Any:
        errors.append(str(event))
        raise structlog.DropEvent

    return structlog.wrap_logger(
        None, processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(40)
    )
