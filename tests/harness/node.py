"""All that a pull needs on one machine: a tree with layers, our daemon, containerd."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from tests.harness import mounts, parts, samples
from tests.harness.configuration import Proxy, Pull
from tests.harness.containerd import Containerd
from tests.harness.ctr import CtrError
from tests.harness.daemon import Daemon, Decision
from tests.harness.images import Image
from tests.harness.layers import Layer
from tests.harness.processes import wait_until
from tests.harness.registry import Registry
from tests.harness.repository import Repository
from tests.harness.workspace import Workspace


@attrs.frozen
class Pulled:
    """What a pull did.

    Attributes:
        reference: Of the image.
        decisions: The daemon's decision about each layer, the lowest first; None where containerd
            did not ask for it.
        downloaded: Bytes that were sent for each layer, the lowest first.
    """

    reference: str
    decisions: list[Decision | None]
    downloaded: list[int]

    @property
    def reasons(self) -> list[str]:
        """For each layer why it is a hit or a miss, or "" where containerd did not ask."""
        return [each.reason if each else "" for each in self.decisions]

    @property
    def outcomes(self) -> list[str]:
        """For each layer "hit", "miss", or "" where containerd did not ask."""
        return [each.outcome if each else "" for each in self.decisions]


@attrs.frozen
class Node:
    """A machine with our daemon.

    Attributes:
        repository: The publisher's side of the tree.
        layers: The tree as the daemon sees it, read-only.
    """

    registry: Registry
    repository: Repository
    layers: Path
    daemon: Daemon
    containerd: Containerd

    def restart_daemon(self) -> None:
        """Kill the daemon, start it again, and wait until containerd has found it."""
        self.daemon.kill()
        self.daemon.start()
        self.wait_connected()

    def wait_connected(self) -> None:
        """Wait until containerd reaches the daemon, for which it lets some seconds pass.

        Seen only when containerd has a snapshot to ask the daemon about.
        """

        def connected() -> bool:
            try:
                self.containerd.ctr().snapshots(self.containerd.snapshotter)
            except CtrError:
                return False
            return True

        wait_until("containerd has found the daemon", connected)

    def pull(self, image: Image) -> Pulled:
        """Pull an image through the CRI and tell what was decided and downloaded."""
        return self._watch(image, self.containerd.cri.pull)

    def pull_with_ctr(self, image: Image, *more: str, namespace: str = "default") -> Pulled:
        """Pull an image with `ctr images pull` and tell the same.

        Args:
            more: Further arguments of it.

        Raises:
            CtrError: The image could not be pulled.
        """
        ctr, snapshotter = self.containerd.ctr(namespace), self.containerd.snapshotter
        return self._watch(image, lambda reference: ctr.pull(reference, snapshotter, *more))

    def _watch(self, image: Image, pull: Callable[[str], object]) -> Pulled:
        self.registry.reset()
        before = len(self.daemon.decisions())
        reference = self.registry.reference(image)
        pull(reference)
        sent = self.registry.downloaded()
        return Pulled(
            reference,
            _by_target(self.daemon.decisions()[before:], image.chain_ids),
            [sent.get(layer.digest, 0) for layer in image.layers],
        )


@contextmanager
def node(
    workspace: Workspace,
    name: str,
    registry: Registry,
    published: Iterable[Layer] = (),
    policy: str = "",
    *,
    version: str = "1.6",
    pull: Pull = Pull.LOCAL,
    annotations: bool = True,
    stats: int = 10,
    collector: str = "",
    snippet: Callable[[Daemon], str] | None = None,
    source: str = "tests",
) -> Iterator[Node]:
    """Give a running node, and end it with the block.

    Args:
        name: Of its directory in the workspace.
        registry: A running one that has the image for sandboxes.
        published: Layers that are on the tree from the beginning.
        policy: Further lines (TOML) of the source in the daemon's configuration.
        version: Of containerd, as `script/parts` names it: "1.6", "1.7" or "2.1".
        pull: How the CRI pulls; by the transfer service from 2.1 on.
        annotations: Whether containerd says which layer it wants.
        stats: Seconds between two looks of the CRI at the usage of snapshots.
        collector: Where containerd sends its spans (from 1.7 on); empty to make none.
        snippet: What makes containerd use the daemon, instead of what follows from the rest.
        source: What the source is called.
    """
    directory = workspace.base / name
    repository = Repository.make(directory / "publisher")
    repository.publish(*published)
    with ExitStack() as stack:
        # A run has hundreds of nodes.
        stack.callback(shutil.rmtree, directory)
        layers = stack.enter_context(mounts.read_only(repository.path, directory / "cvmfs"))
        daemon = Daemon.make(directory / "daemon", layers, more=policy, name=source)
        stack.callback(daemon.stop)
        daemon.start()
        containerd = Containerd.make(
            parts.find(version),
            directory / "containerd",
            workspace.cgroup.below(name),
            registry=registry.host,
            sandbox=registry.reference(samples.sandbox()),
            proxy=Proxy(daemon.socket, daemon.root, pull, annotations=annotations),
            snippet=snippet(daemon) if snippet else None,
            stats=stats,
            collector=collector,
        )
        stack.callback(containerd.stop)
        containerd.start()
        yield Node(registry, repository, layers, daemon, containerd)


def _by_target(decisions: list[Decision], targets: list[str]) -> list[Decision | None]:
    """Put the last decision about each target in the order of the targets."""
    last = {decision.target: decision for decision in decisions}
    return [last.get(target) for target in targets]
