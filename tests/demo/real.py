"""The demonstration with an image of a real registry and layers of a real repository."""

# ruff: noqa: T201 - printing is its job

import os
from contextlib import ExitStack
from pathlib import Path

import grpc

from tests.demo import table
from tests.harness import parts, samples
from tests.harness.configuration import Proxy
from tests.harness.containerd import Containerd
from tests.harness.daemon import Daemon
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace


def show(workspace: Workspace, layers: Path, image: str, command: str | None) -> int:
    """Pull an image, print what happened to each layer, and run a command in a container.

    Args:
        layers: Root of the tree with unpacked layers.
        image: Reference in its registry, which containerd has to reach.
        command: For the shell of the image; None for no container.

    Returns:
        Exit status: that of the command; 1 when the image could not be pulled or run.
    """
    kind, more = _kind(layers)
    # For the sandbox alone, so that a container needs no other image from elsewhere.
    registry = Registry.make(parts.find(), workspace.base / "registry").start()
    registry.push(samples.sandbox())
    with ExitStack() as stack:
        daemon = Daemon.make(workspace.base / "daemon", layers, kind, more)
        stack.callback(daemon.stop)
        daemon.start()
        containerd = Containerd.make(
            parts.find(),
            workspace.base / "containerd",
            workspace.cgroup.below("containerd"),
            registry=registry.host,
            sandbox=registry.reference(samples.sandbox()),
            proxy=Proxy(daemon.socket, daemon.root),
        )
        stack.callback(containerd.stop)
        containerd.start()
        table.heading(f"{image}, with the layers of {layers} ({kind})")
        try:
            return _run(daemon, containerd, image, command)
        except grpc.RpcError as error:
            print(f"  containerd refused: {error.details()}")
            return 1


def _kind(layers: Path) -> tuple[str, str]:
    """Tell the kind of source for a tree, and further lines of its configuration."""
    try:
        # CVMFS has this attribute on every path: the name of the repository.
        name = os.getxattr(layers, "user.fqrn").decode()
    except OSError:
        return "directory", ""
    return "cvmfs", f'repository = "{name}"\n'


def _run(daemon: Daemon, containerd: Containerd, image: str, command: str | None) -> int:
    containerd.cri.pull(image)
    # A layer that was downloaded is in containerd's content store.
    table.layers(
        [
            table.Row(each.digest, each, containerd.blob_size(each.digest))
            for each in daemon.decisions()
        ]
    )
    if command is None:
        return 0
    result = containerd.cri.run(image, "sh", "-c", command)
    table.output(result.stdout + result.stderr)
    return result.code
