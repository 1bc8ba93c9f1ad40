"""How the daemon is, for those who ask: its health, and what its operator wants to know."""

from collections.abc import Callable, Mapping, Sequence

import attrs

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.adapters.circuits import Standing
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.probes import ProbePool
from cvmfs_snapshotter.adapters.sqlite.migrate import REVISIONS
from cvmfs_snapshotter.domain.errors import NotFoundError, SnapshotterError
from cvmfs_snapshotter.domain.ports.store import Census, Store

from .compose_sources import Tended
from .disk import Disk, disk_of
from .tending import Tender


@attrs.frozen
class SourceOverview:
    """How a source is.

    Attributes:
        settings: what is configured about it.
        standing: how its circuit stands.
        revision: of the repository when its root was last looked at; None if it is not known.
        keep_mounted: whether it is to be held at the moment.
        held: whether its root is held.
    """

    settings: SourceSettings
    standing: Standing
    revision: int | None
    keep_mounted: bool
    held: bool


@attrs.frozen
class Overview:
    """How the daemon is.

    Attributes:
        version: its version.
        root: its state directory.
        started_at: when it began to serve, nanoseconds since the epoch, UTC.
        sources: in the order in which they are asked.
        census: how many records there are.
        probes: processes that look at sources.
        stuck_probes: those that were killed and have not ended.
        schema: of the records.
        disk: what the disk of the state directory has.
    """

    version: str
    root: str
    started_at: int
    sources: tuple[SourceOverview, ...]
    census: Census
    probes: int
    stuck_probes: int
    schema: str
    disk: Disk


class Overseer:
    """Knows the whole daemon. Nothing here looks at a source or waits for one."""

    def __init__(  # noqa: PLR0913, PLR0917 - it has to know all of it
        self,
        root: str,
        sources: Sequence[SourceSettings],
        store: Store,
        tended: Tended,
        probes: ProbePool,
        started_at: int,
        disk: Callable[[str], Disk] = disk_of,
    ) -> None:
        """Take what there is to know.

        Args:
            root: the state directory.
            sources: the configured sources.
            store: the records.
            tended: what looks after the sources.
            probes: the processes that look at sources for requests.
            started_at: the time of day, nanoseconds since the epoch, UTC.
            disk: measures a state directory.
        """
        self._root = root
        self._settings: Mapping[str, SourceSettings] = {one.name: one for one in sources}
        self._store = store
        self._tended = tended
        self._probes = probes
        self._started_at = started_at
        self._disk = disk

    def adopt(self, sources: Sequence[SourceSettings]) -> None:
        """Take other settings of the same sources."""
        self._settings = {one.name: one for one in sources}

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the configured sources."""
        return tuple(self._settings)

    def overview(self) -> Overview:
        """Tell how everything is.

        Raises:
            SnapshotterError: the records cannot be read.
        """
        living, stuck = self.processes()
        return Overview(
            version=__version__,
            root=self._root,
            started_at=self._started_at,
            sources=tuple(self.source(name) for name in self._settings),
            census=self._store.read(lambda records: records.census()),
            probes=living,
            stuck_probes=stuck,
            # A daemon works with no other: it brings its records there before it opens them.
            schema=REVISIONS[-1],
            disk=self._disk(self._root),
        )

    def processes(self) -> tuple[int, int]:
        """Tell how many processes look at sources, and how many were killed and have not ended."""
        living, lost = self._probes.count()
        return living, lost + self._tended.stuck

    def census(self) -> Census | None:
        """Tell how many records there are; None if they cannot be read."""
        try:
            return self._store.read(lambda records: records.census())
        except SnapshotterError:
            return None

    def source(self, name: str) -> SourceOverview:
        """Tell how a source is.

        Args:
            name: of one that is configured.
        """
        holder = self._tended.tenders[name].holder
        return SourceOverview(
            settings=self._settings[name],
            standing=self._tended.breakers.standing(name),
            revision=holder.revision,
            keep_mounted=holder.wanted,
            held=holder.held,
        )

    def up(self, source: str) -> bool:
        """Tell whether a source is asked for layers.

        Raises:
            NotFoundError: there is no such source.
        """
        self._tender(source)
        return not self._tended.breakers.standing(source).circuit.refuses

    def records_readable(self) -> bool:
        """Tell whether the records can be read."""
        try:
            self._store.read(lambda records: records.get(""))
        except SnapshotterError:
            return False
        return True

    def hold(self, source: str) -> None:
        """Keep a source mounted from now on; returns at once.

        Raises:
            NotFoundError: there is no such source.
        """
        self._tender(source).hold()

    def release(self, source: str) -> bool:
        """Let a source be unmounted.

        Returns:
            Whether nothing of ours holds it; see ``Tender.release``.

        Raises:
            NotFoundError: there is no such source.
        """
        return self._tender(source).release()

    def _tender(self, source: str) -> Tender:
        tender = self._tended.tenders.get(source)
        if tender is None:
            known = ", ".join(repr(name) for name in self._settings) or "none"
            raise NotFoundError(f"source {source[:80]!r} is not configured; known: {known}")
        return tender
