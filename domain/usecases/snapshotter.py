"""The ten operations as one object."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from ..mounts import Mount
from ..snapshot import Snapshot, Usage
from . import commit, mount, prepare, query, remove, update
from .context import Context


@attrs.frozen
class LayerSnapshotter:
    """Implements ``Snapshotter`` on the ports of a context."""

    context: Context

    def prepare(self, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        """See ``Snapshotter.prepare``."""
        return prepare.prepare(self.context, key, parent, labels)

    def view(self, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        """See ``Snapshotter.view``."""
        return prepare.view(self.context, key, parent, labels)

    def mounts(self, key: str) -> tuple[Mount, ...]:
        """See ``Snapshotter.mounts``."""
        return mount.mounts(self.context, key)

    def commit(self, name: str, key: str, labels: Mapping[str, str], parent: str = "") -> None:
        """See ``Snapshotter.commit``."""
        commit.commit(self.context, name, key, labels, parent)

    def remove(self, key: str) -> None:
        """See ``Snapshotter.remove``."""
        remove.remove(self.context, key)

    def stat(self, key: str) -> Snapshot:
        """See ``Snapshotter.stat``."""
        return query.stat(self.context, key)

    def update(self, name: str, labels: Mapping[str, str], paths: Sequence[str]) -> Snapshot:
        """See ``Snapshotter.update``."""
        return update.update(self.context, name, labels, paths)

    def list(self, filters: Sequence[str]) -> Iterator[Sequence[Snapshot]]:
        """See ``Snapshotter.list``."""
        return query.list_snapshots(self.context, filters)

    def usage(self, key: str) -> Usage:
        """See ``Snapshotter.usage``."""
        return query.usage(self.context, key)

    def cleanup(self) -> None:
        """See ``Snapshotter.cleanup``."""
        remove.cleanup(self.context)
