"""A whole daemon but for its server, on directories that others have had their hands on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
import structlog

from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.domain.usecases.snapshotter import LayerSnapshotter
from cvmfs_snapshotter.entrypoints.compose import Parts, compose
from cvmfs_snapshotter.entrypoints.config import Config
from tests.contract.conftest import new_database
from tests.hostile.outside import Outside

__all__ = ["new_database"]

DIGITS = "ab" + "0" * 62


@attrs.frozen
class Node:
    """A snapshotter with a source, and what lies outside of both.

    Attributes:
        root: its state directory.
        source: root of its one source, a plain directory.
        outside: what it must not touch.
        parts: the snapshotter and its ports.
    """

    root: Path
    source: Path
    outside: Outside
    parts: Parts

    @property
    def snapshotter(self) -> LayerSnapshotter:
        """Give what does the work."""
        return self.parts.snapshotter

    def asked_again(self) -> bool:
        """Let the trial that may be due take place, and tell whether the source is asked."""
        self.parts.tended.tenders["tests"].work()
        return not self.parts.tended.breakers.standing("tests").circuit.refuses

    def layer(self, digits: str = DIGITS) -> Path:
        """Make the directory of a layer, and give the one around its files."""
        directory = self.source / ".layers" / digits[:2] / digits
        (directory / "layerfs").mkdir(parents=True)
        (directory / "layerfs/.cvmfscatalog").touch()
        return directory

    def pull(self, digits: str = DIGITS, parent: str = "", number: int = 0) -> str:
        """Ask for a layer as containerd does.

        Args:
            digits: of its digest.
            parent: name of the snapshot below it; empty for none.
            number: makes the target and the key differ from those of others.

        Returns:
            "hit", or the path that the layer would be unpacked to.
        """
        target = f"sha256:{number:064x}"
        labels = {TARGET: target, LAYER_DIGEST: f"sha256:{digits}"}
        try:
            made = self.snapshotter.prepare(f"extract {number}", parent, labels)
        except AlreadyExistsError:
            return "hit"
        return _upper(made)

    def name_of(self, number: int = 0) -> str:
        """Give the name of the remote snapshot that a pull has made."""
        wanted = f'labels."{TARGET}"==sha256:{number:064x}'
        (found,) = [s for batch in self.snapshotter.list([wanted]) for s in batch if s.remote]
        return found.name

    def links_out(self) -> list[str]:
        """Tell which lower directories lie neither in root nor source, by link or directly."""
        inside = (str(self.root), str(self.source))
        links = [str(link.parent / link.readlink()) for link in (self.root / "l").iterdir()]
        found = (s.layer for batch in self.snapshotter.list([]) for s in batch)
        path_of = self.parts.context.sources.path
        layers = [str(path_of(layer)) for layer in found if layer is not None]
        paths = [os.path.normpath(path) for path in links + layers]
        return [path for path in paths if not path.startswith(inside)]


def _upper(mounts: tuple[Mount, ...]) -> str:
    (mount,) = mounts
    named = [o.removeprefix("upperdir=") for o in mount.options if o.startswith("upperdir=")]
    return named[0] if named else mount.source


@pytest.fixture
def node(tmp_path: Path, new_database: Callable[[Path], Path]) -> Iterator[Node]:
    """Give a node; whatever a test does to it, nothing outside was touched at its end."""
    root, source = tmp_path / "root", tmp_path / "source"
    source.mkdir()
    outside = Outside.make(tmp_path / "outside", DIGITS)
    DiskDirectories(str(root)).prepare()
    store = open_store(new_database(root))
    settings = SourceSettings(name="tests", kind="directory", repository="", path=str(source))
    parts = compose(str(root), Config((settings,)), store, structlog.get_logger())
    yield Node(root, source, outside, parts)
    parts.probes.close()
    parts.tended.stop(10.0)
    store.close()
    touched = outside.touched()
    outside.close()
    assert [] == touched
