"""A snapshotter on real directories and sources, whose local layers containerd unpacks."""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.adapters import kernel
from cvmfs_snapshotter.adapters.clock import SystemClock
from cvmfs_snapshotter.adapters.companions import DiskCompanions
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.adapters.memory import MemoryEvents
from cvmfs_snapshotter.adapters.patterns import Re2Patterns
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.events import LayerDecided
from cvmfs_snapshotter.domain.mounts import COMPACTED_FROM, Layout, Mount
from cvmfs_snapshotter.domain.policy import Policy
from cvmfs_snapshotter.domain.usecases.context import Context
from cvmfs_snapshotter.domain.usecases.snapshotter import LayerSnapshotter
from tests.harness.layers import Layer, chain_ids
from tests.harness.repository import Repository

from .oracle import Tree
from .unpacking import Unpacker
from .walk import walked

_numbers = itertools.count(1)


@attrs.frozen(repr=False)
class Stand:
    """Pulls images layer by layer and shows what a container would see.

    Attributes:
        snapshotter: the one under test.
        events: what it noted.
        repository: where layers are published.
        unpacker: unpacks local layers; None where there are none.
        scratch: an empty directory to mount at.
    """

    snapshotter: LayerSnapshotter
    events: MemoryEvents
    repository: Repository
    unpacker: Unpacker | None
    scratch: Path

    def pull(self, layers: Sequence[Layer], local: Sequence[bool]) -> str:
        """Have every layer provided, or unpacked where it is to be local.

        Args:
            layers: the lowest first.
            local: for each whether it is local.

        Returns:
            Name of the topmost snapshot.
        """
        parent = ""
        targets = chain_ids(layer.diff_id for layer in layers)
        for layer, target, is_local in zip(layers, targets, local, strict=True):
            parent = (
                self._unpack(layer, target, parent)
                if is_local
                else self._provide(layer, target, parent)
            )
        return parent

    def _unpack(self, layer: Layer, target: str, parent: str) -> str:
        assert self.unpacker is not None
        number = next(_numbers)
        mounts = self.snapshotter.prepare(f"t/{number}/extract", parent, {})
        self.unpacker.apply(layer, mounts)
        name = f"t/{number}/{target}"
        self.snapshotter.commit(name, f"t/{number}/extract", {}, "")
        return name

    def _provide(self, layer: Layer, target: str, parent: str) -> str:
        self.repository.publish(layer)
        labels = {label_rules.TARGET: target, label_rules.LAYER_DIGEST: layer.digest}
        try:
            self.snapshotter.prepare(f"t/{next(_numbers)}/extract", parent, labels)
        except AlreadyExistsError:
            pass
        else:
            decided = [e for e in self.events.recorded if isinstance(e, LayerDecided)][-1]
            pytest.fail(f"a published layer was not used: {decided.outcome}")
        for batch in self.snapshotter.list([f"labels.{_quoted(label_rules.TARGET)}=={target}"]):
            for snapshot in batch:
                if snapshot.remote and snapshot.parent == parent:
                    return snapshot.name
        pytest.fail("the layer that was provided is not listed")

    def shown(self, top: str) -> tuple[Tree, Tree]:
        """Mount an active snapshot and a view on top of a chain, and read both.

        Returns:
            What is in the one and in the other.
        """
        active = self.snapshotter.prepare(f"t/{next(_numbers)}/container", top, {})
        view = self.snapshotter.view(f"t/{next(_numbers)}/view", top, {})
        return self.read(active), self.read(view)

    def read(self, mounts: Sequence[Mount]) -> Tree:
        """Mount and read."""
        with mounted(mounts, self.scratch):
            return walked(self.scratch)


def _quoted(text: str) -> str:
    return f'"{text}"'


@contextmanager
def mounted(mounts: Sequence[Mount], target: Path) -> Iterator[None]:
    """Mount what a snapshotter answers.

    As containerd does, from the common directory of the lower ones where options are long: only so
    do those of many layers fit.
    """
    for mount in mounts:
        if mount.type == "bind":
            subprocess.run(["mount", "--bind", mount.source, target], check=True)
            continue
        command = ["mount", "-t", mount.type, mount.source, str(target), "-o"]
        *others, lowerdir = mount.options
        if len(",".join(mount.options)) < COMPACTED_FROM:
            subprocess.run([*command, ",".join(mount.options)], check=True)
            continue
        lowers = lowerdir.removeprefix("lowerdir=").split(":")
        shared = {os.path.dirname(lower) for lower in lowers}  # noqa: PTH120 - a text in a text
        assert 1 == len(shared)
        names = ":".join(os.path.basename(lower) for lower in lowers)  # noqa: PTH119 - the same
        options = ",".join([*others, f"lowerdir={names}"])
        subprocess.run([*command, options], cwd=shared.pop(), check=True)
    try:
        yield
    finally:
        for _ in mounts:
            subprocess.run(["umount", target], check=True)


@contextmanager
def stand(
    base: Path,
    unpacker: Unpacker | None,
    policy: Policy | None = None,
    owner: tuple[int, int] | None = None,
    settle: Callable[[Repository], None] = lambda _: None,
) -> Iterator[Stand]:
    """Make a stand in an empty directory.

    Args:
        base: the directory.
        unpacker: unpacks local layers.
        policy: of the source; the usual one if None.
        owner: to whom the publisher gives everything; the tar's owners if None.
        settle: called with the repository before anything is published.
    """
    with ExitStack() as stack:
        root, scratch = base / "root", base / "mnt"
        scratch.mkdir()
        directories = DiskDirectories(str(root))
        root.mkdir(mode=0o700)
        directories.prepare()
        repository = Repository.make(base / "repository", owner)
        settle(repository)
        pool = ProbePool(worker_command(WORKER_MODULE))
        stack.callback(pool.close)
        source = SourceSettings(
            "tests",
            SourceKind.DIRECTORY,
            "",
            str(base / "repository"),
            policy=policy or Policy(),
        )
        events = MemoryEvents()
        database = root / "metadata.sqlite"
        prepare_database(database)
        store = open_store(database)
        stack.callback(store.close)
        context = Context(
            store,
            directories,
            DiskCompanions(root, kernel.opaque_attribute()),
            Sources([source], pool, SystemClock()),
            SystemClock(),
            events,
            Re2Patterns(),
            Layout(str(root), kernel.overlay_options()),
        )
        yield Stand(LayerSnapshotter(context), events, repository, unpacker, scratch)
