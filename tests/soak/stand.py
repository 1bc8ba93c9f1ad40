"""The node of a soak: our daemon over a file system that fails on command, and containerd."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import attrs

from tests.harness import parts, samples
from tests.harness.configuration import Proxy
from tests.harness.containerd import Containerd
from tests.harness.daemon import Daemon
from tests.harness.fuse.file_system import FileSystem, file_system
from tests.harness.registry import Registry
from tests.harness.repository import Repository
from tests.harness.workspace import Workspace

from .images import all_samples
from .sockets import remove_sockets

LOOKUP_SECONDS = 2
"""What the daemon gives a look-up: less than a fault lasts."""

KEPT_SECONDS = 5.0
"""How long the kernel may answer from its caches: as a fault lasts."""


OTHER_NAMESPACE = "other"
"""A namespace of containerd's beside that of the CRI, used by `ctr`."""


@attrs.frozen
class Stand:
    """Everything of a soak that runs.

    Attributes:
        repository: The publisher's side of the source.
        cvmfs: The source.
    """

    workspace: Workspace
    registry: Registry
    repository: Repository
    cvmfs: FileSystem
    daemon: Daemon
    containerd: Containerd


@contextmanager
def stand(workspace: Workspace, version: str) -> Iterator[Stand]:
    """Give a running node, and end it with the block.

    Args:
        version: Of containerd, as `script/parts` names it.
    """
    base = workspace.base
    with ExitStack() as stack:
        registry = Registry.make(parts.find(version), base / "registry").start()
        stack.callback(registry.stop)
        repository = Repository.make(base / "publisher")
        registry.push(samples.sandbox())
        for sample in all_samples():
            registry.push(sample.image)
            repository.publish(*sample.published)
        cvmfs = stack.enter_context(
            file_system(repository.path, base / "cvmfs", kept=KEPT_SECONDS)
        )
        more = f'repository = "{cvmfs.repository}"\nlookup_deadline = {LOOKUP_SECONDS}\n'
        daemon = Daemon.make(base / "daemon", cvmfs.point, "cvmfs", more)
        stack.callback(daemon.stop)
        daemon.start()
        containerd = Containerd.make(
            parts.find(version),
            base / "containerd",
            workspace.cgroup.below("soak"),
            registry=registry.host,
            sandbox=registry.reference(samples.sandbox()),
            proxy=Proxy(daemon.socket, daemon.root),
            stats=2,
        )
        namespaces = ("k8s.io", OTHER_NAMESPACE)
        stack.callback(remove_sockets, containerd.log, containerd.socket, namespaces)
        stack.callback(containerd.stop)
        # Whatever hangs goes on, so that containers can be ended.
        stack.callback(cvmfs.dies)
        containerd.start()
        yield Stand(workspace, registry, repository, cvmfs, daemon, containerd)
