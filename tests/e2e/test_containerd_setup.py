"""`containerd-setup` on the configuration of a containerd that then pulls, and back."""

import itertools
import subprocess
from contextlib import ExitStack

import pytest

from tests.harness import mounts, parts, samples
from tests.harness.configuration import SNAPSHOTTER
from tests.harness.containerd import Containerd
from tests.harness.daemon import PROGRAM, Daemon
from tests.harness.node import Node
from tests.harness.registry import Registry
from tests.harness.repository import Repository
from tests.harness.workspace import Workspace

_numbers = itertools.count(1)


@pytest.mark.parametrize(
    ("version", "pull"),
    [("1.6", "local"), ("1.7", "local"), ("2.1", "local"), ("2.1", "transfer")],
)
def test_set_up_and_uninstalled(
    base: Workspace, registry: Registry, version: str, pull: str
) -> None:
    """A containerd with overlayfs takes layers where they are after it, and not without it.

    A container on remote layers goes on without our lines, and can be removed.
    """
    image, other = samples.image_a(), samples.image_b()
    directory = base.base / f"set-up-{next(_numbers)}"
    found = parts.find(version)
    with ExitStack() as stack:
        repository = Repository.make(directory / "publisher")
        repository.publish(*image.layers, *other.layers)
        layers = stack.enter_context(mounts.read_only(repository.path, directory / "cvmfs"))
        daemon = Daemon.make(directory / "daemon", layers)
        stack.callback(daemon.stop)
        daemon.start()
        containerd = Containerd.make(
            found,
            directory / "containerd",
            base.cgroup.below(directory.name),
            registry=registry.host,
            sandbox=registry.reference(samples.sandbox()),
        )
        stack.callback(containerd.stop)
        # Where 1.6 before 1.6.32 looks for the image file system.
        (containerd.directory / f"root/io.containerd.snapshotter.v1.{SNAPSHOTTER}").mkdir()
        config = containerd.directory / "config.toml"
        before = config.read_bytes()

        def set_up(*more: str) -> None:
            words = (str(PROGRAM), "containerd-setup", "--apply", "--config", str(config))
            where = ("--address", str(daemon.socket), "--root", str(daemon.root))
            program = ("--containerd", str(found.containerd / "containerd"))
            subprocess.run((*words, *where, *program, *more), check=True, timeout=60)

        set_up("--pull", pull)
        containerd.start()
        containerd.snapshotter = SNAPSHOTTER
        node = Node(registry, repository, layers, daemon, containerd)
        pulled = node.pull(image)

        assert ["hit"] * len(image.layers) == pulled.outcomes
        assert [0] * len(image.layers) == pulled.downloaded

        pod = containerd.cri.run_pod()
        container = containerd.cri.create(pod, pulled.reference, "sleep", "1000")
        containerd.cri.start(container)

        set_up("--uninstall")
        assert before == config.read_bytes()
        containerd.terminate()
        containerd.start()
        containerd.snapshotter = "overlayfs"

        assert "on\n" == containerd.cri.execute(container, "sh", "-c", "echo on").stdout
        containerd.cri.remove(container)
        containerd.cri.remove_pod(pod)
        assert [None] * len(other.layers) == node.pull(other).decisions
