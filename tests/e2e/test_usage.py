"""The sweep of the CRI over all snapshots, which the kubelet's figures come from."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import samples
from tests.harness.cri import Container
from tests.harness.node import Node
from tests.harness.node import node as open_node
from tests.harness.processes import wait_until
from tests.harness.registry import Registry
from tests.harness.snapshots import Snapshots
from tests.harness.workspace import Workspace

from .conftest import Setup, next_name

IMAGE = samples.image_a()

# A file with a second name and one that is a hole but for its last byte: du counts the blocks of
# the first once, and nearly nothing of the second.
WRITE = (
    "cat /bin/busybox >/data/big && ln /data/big /data/again && "
    "dd if=/dev/zero of=/data/hole bs=1 count=1 seek=10000000 && mkdir -p /data/deep/er && "
    "exec sleep 1000000"
)
# So many and so fast that some vanish between the reading of their directory and the look at each.
COME_AND_GO = (
    "mkdir /tmp/d; while :; do for n in $(seq 300); do : >/tmp/d/$n; done; "
    "for n in $(seq 300); do rm /tmp/d/$n; done; done"
)


@pytest.fixture
def node(base: Workspace, registry: Registry, setup: Setup) -> Iterator[Node]:
    """A machine whose CRI looks at the snapshots each second, instead of each tenth."""
    made = open_node(
        *(base, next_name(), registry, IMAGE.layers[:3]),
        version=setup.version,
        pull=setup.pull,
        stats=1,
    )
    with made as node:
        yield node


@pytest.fixture
def snapshots(node: Node) -> Iterator[Snapshots]:
    """containerd's snapshots in the namespace of the CRI."""
    client = Snapshots.connect(node.containerd.socket, "k8s.io", node.containerd.snapshotter)
    yield client
    client.close()


def _start(node: Node, command: str) -> Container:
    reference = node.pull(IMAGE).reference
    pod = node.containerd.cri.run_pod()
    container = node.containerd.cri.create(pod, reference, "sh", "-c", command)
    node.containerd.cri.start(container)
    return container


def _du(path: Path) -> tuple[int, int]:
    """Tell bytes in blocks and inodes, as du counts them."""

    def count(*options: str) -> int:
        command = ("du", "--summarize", "--one-file-system", *options, str(path))
        output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        return int(output.split()[0])

    return count("--block-size=1"), count("--inodes")


def _directory(node: Node, file: str) -> Path:
    """Find the files of the local snapshot that has a file."""
    (found,) = (node.daemon.root / "snapshots").glob(f"*/fs/{file}")
    return found.parents[len(Path(file).parts) - 1]


def test_the_figures_of_the_kubelet(node: Node, snapshots: Snapshots) -> None:
    """What a container has written counts as du counts it; remote layers count as nothing."""
    container = _start(node, WRITE)
    written = wait_until("it has written", lambda: list(_written(node)))
    assert 1 == len(written)
    expected = _du(_directory(node, "data/big"))
    assert expected[0] < 5_000_000

    wait_until(
        f"the container uses {expected}",
        lambda: _figures(node.containerd.cri.container_usage(container)) == expected,
    )
    for layer, chain_id in zip(IMAGE.layers, IMAGE.chain_ids, strict=True):
        size, inodes = snapshots.usage(chain_id)
        if layer in IMAGE.layers[:3]:
            assert (0, 0) == (size, inodes)
        else:
            assert size > 0
    usages = [snapshots.usage(key) for key in snapshots.keys()]  # noqa: SIM118 - no mapping
    total = (sum(size for size, _ in usages), sum(inodes for _, inodes in usages))
    wait_until(
        f"all together use {total}",
        lambda: _figures(node.containerd.cri.image_usage()) == total,
    )


def _written(node: Node) -> Iterator[Path]:
    return (node.daemon.root / "snapshots").glob("*/fs/data/deep/er")


def _figures(usage: object) -> tuple[int, int]:
    return usage.used_bytes.value, usage.inodes_used.value  # type: ignore[attr-defined]


def test_where_the_images_lie(node: Node) -> None:
    """The CRI names our root as the place of images; 1.6 before 1.6.32 knows only its own."""
    place = node.containerd.cri.image_usage().fs_id.mountpoint

    if node.containerd.version == "1.6":
        name = f"root/io.containerd.snapshotter.v1.{node.containerd.snapshotter}"
        assert str(node.containerd.directory / name) == place
    else:
        assert str(node.daemon.root) == place


@pytest.mark.parametrize("setup", ["1.6", "2.1"], indirect=True)
def test_files_that_come_and_go_while_they_are_counted(node: Node, snapshots: Snapshots) -> None:
    """Usage of a running container is answered however its files vanish under it."""
    container = _start(node, COME_AND_GO)
    wait_until("it has begun", lambda: list((node.daemon.root / "snapshots").glob("*/fs/tmp/d")))

    counts = {snapshots.usage(container.id)[1] for _ in range(300)}

    assert len(counts) > 1
    assert 1 <= min(counts)
    assert max(counts) <= 310
    assert "failed to get usage" not in node.containerd.log.read_text()


@pytest.mark.parametrize("setup", ["1.6"], indirect=True)
def test_a_source_that_is_gone_does_not_disturb_the_sweep(
    node: Node, snapshots: Snapshots
) -> None:
    """Stat, List and Usage need the records alone."""
    _start(node, WRITE)
    before = {key: snapshots.usage(key) for key in IMAGE.chain_ids}
    for layer in IMAGE.layers[:3]:
        subprocess.run(["rm", "-rf", node.repository.directory_of(layer)], check=True)

    assert before == {key: snapshots.usage(key) for key in IMAGE.chain_ids}
    assert set(IMAGE.chain_ids) <= set(snapshots.keys())
