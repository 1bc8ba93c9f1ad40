"""What the tests of an import share."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cvmfs_snapshotter.domain.importing import REMOTE
from tests.harness import parts, samples
from tests.harness.containerd import Containerd
from tests.harness.daemon import Daemon
from tests.harness.mounts import unmount_below
from tests.harness.registry import Registry
from tests.harness.repository import Repository
from tests.harness.snapshots import Snapshots
from tests.harness.workspace import Workspace, workspace
from tests.importing.predecessor import Predecessor
from tests.importing.state import State


@pytest.fixture(scope="package")
def base() -> Iterator[Workspace]:
    """Give a directory for everything; nothing may be left of it at the end."""
    with workspace() as made:
        yield made


@pytest.fixture(scope="package")
def registry(base: Workspace) -> Iterator[Registry]:
    """Give a registry with the images."""
    started = Registry.make(parts.find(), base.base / "registry").start()
    for make in (samples.sandbox, samples.image_a, samples.image_b):
        started.push(make())
    yield started
    started.stop()


@pytest.fixture
def predecessor(
    base: Workspace, registry: Registry, request: pytest.FixtureRequest
) -> Iterator[Predecessor]:
    """Give a running containerd with its overlayfs, and a daemon that is not running."""
    number = len(list(base.base.iterdir()))
    directory = base.base / f"p{number}"
    repository = Repository.make(directory / "cvmfs")
    with ExitStack() as held:
        daemon = Daemon.make(directory / "d", repository.path)
        held.callback(daemon.stop)
        containerd = Containerd.make(
            parts.find(),
            directory / "c",
            base.cgroup.below(request.node.name[:20]),
            registry=registry.host,
            sandbox=registry.reference(samples.sandbox()),
        )
        held.callback(unmount_below, directory)
        held.callback(containerd.stop)
        containerd.start()
        yield Predecessor(containerd, repository, daemon)


@pytest.fixture(scope="package")
def original() -> Iterator[tuple[Path, Repository]]:
    """Give a state with three remote snapshots, a local one, a container, a view and a file each.

    Nothing is mounted, as after a reboot.
    """
    image = samples.image_b()
    with workspace() as made:
        containerd = Containerd.make(
            parts.find(), made.base / "c", made.cgroup, registry="127.0.0.1:1", sandbox="none"
        )
        containerd.start()
        client = Snapshots.connect(containerd.socket, "k8s.io", "overlayfs")
        parent = ""
        for layer, target in zip(image.layers, image.chain_ids, strict=True):
            labels = {
                "containerd.io/snapshot.ref": target,
                "containerd.io/snapshot/cri.layer-digest": layer.digest,
                REMOTE: "remote snapshot",
            }
            client.prepare("extract", parent, labels)
            client.commit(target, "extract", labels)
            parent = target
        client.prepare("extract", parent)
        client.commit("local", "extract")
        client.prepare("container", "local")
        base = containerd.directory / "root/io.containerd.snapshotter.v1.overlayfs"
        for number in (4, 5):
            (base / f"snapshots/{number}/fs/file").write_text(f"{number}\n")
        client.close()
        containerd.stop()
        repository = Repository.make(made.base / "cvmfs")
        repository.publish(*image.layers)
        yield base, repository


@pytest.fixture
def state(original: tuple[Path, Repository], tmp_path: Path) -> State:
    """Give a copy of it."""
    return State.copy(original[0], original[1].path, tmp_path)
