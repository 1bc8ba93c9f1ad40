"""What the tests of an import share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.harness import parts, samples
from tests.harness.containerd import Containerd
from tests.harness.daemon import Daemon
from tests.harness.mounts import unmount_below
from tests.harness.registry import Registry
from tests.harness.repository import Repository
from tests.harness.workspace import Workspace, workspace
from tests.importing.predecessor import Predecessor


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
