"""Several namespaces of one containerd use the same layers.

containerd gives every namespace its own names for snapshots and keeps one snapshotter below all of
them; the CRI has the namespace k8s.io.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import samples
from tests.harness.mounts import mounted
from tests.harness.node import Node
from tests.harness.snapshots import Snapshots


@pytest.fixture
def scratch(node: Node) -> Path:
    """An empty directory to mount at."""
    path = node.containerd.directory / "scratch"
    path.mkdir()
    return path


@pytest.fixture
def other(node: Node) -> Iterator[Snapshots]:
    """The snapshots of another namespace than that of the CRI."""
    client = Snapshots.connect(node.containerd.socket, "other", node.containerd.snapshotter)
    yield client
    client.close()


def _read(snapshots: Snapshots, top: str, scratch: Path) -> dict[str, str]:
    """Make a container's snapshot and read what is in /data of it."""
    with mounted(snapshots.prepare("container", top), scratch):
        return {
            path.name: path.read_text()
            for path in (scratch / "data").iterdir()
            if path.is_file() and path.stat().st_size < 1000  # not the program
        }


EXPECTED = {
    "one": "one\n",
    "two": "two\n",
    "three": "three\n",
    "four": "four\n",
    "five": "five\n",
    "five-again": "five\n",
    "five-link": "five\n",
    "of-user": "of user\n",
    "shared": "shared of three\n",
}


def test_a_second_namespace_has_the_layers_too(
    node: Node, other: Snapshots, scratch: Path
) -> None:
    """The same image in another namespace is all in place again, and has all its files."""
    image = samples.image_a()
    node.repository.publish(*image.layers)
    reference = node.pull(image).reference

    assert other.unpack(image, reference, scratch) == ["remote"] * 5

    assert _read(other, image.chain_ids[-1], scratch) == EXPECTED
    assert set(image.chain_ids) <= set(
        node.containerd.ctr("other").snapshots(node.containerd.snapshotter)
    )


@pytest.mark.parametrize("local", [1, 2])
def test_a_second_namespace_with_local_lower_layers(
    node: Node, other: Snapshots, scratch: Path, local: int
) -> None:
    """There the lowest layers were unpacked, so that the parents of the rest have other names."""
    image = samples.image_a()
    node.repository.publish(*image.layers)
    reference = node.pull(image).reference

    outcomes = other.unpack(image, reference, scratch, local=local)

    assert outcomes == ["unpacked"] * local + ["remote"] * (5 - local)
    assert _read(other, image.chain_ids[-1], scratch) == EXPECTED


def test_the_first_namespace_may_be_the_one_with_local_layers(
    node: Node, other: Snapshots, scratch: Path
) -> None:
    """The order of the namespaces does not matter."""
    image = samples.image_a()
    node.repository.publish(*image.layers)
    reference = node.registry.reference(image)
    other.unpack(image, reference, scratch, local=1)

    pulled = node.pull(image)

    assert pulled.downloaded == [0] * 5
    result = node.containerd.cri.run(reference, "sh", "-c", samples.SHOW_A)
    assert (result.code, result.stdout) == (0, samples.SHOWN_BY_A)
    assert _read(other, image.chain_ids[-1], scratch) == EXPECTED


def test_a_local_snapshot_elsewhere_may_carry_the_same_target(
    node: Node, other: Snapshots, scratch: Path
) -> None:
    """Pulled in one namespace before its layers are published, in the other one after that."""
    image = samples.image_a()
    reference = node.registry.reference(image)
    assert other.unpack(image, reference, scratch) == ["unpacked"] * 5
    node.repository.publish(*image.layers)

    pulled = node.pull(image)

    assert pulled.outcomes == ["hit"] * 5
    assert pulled.downloaded == [0] * 5
    result = node.containerd.cri.run(reference, "sh", "-c", samples.SHOW_A)
    assert (result.code, result.stdout) == (0, samples.SHOWN_BY_A)
    assert _read(other, image.chain_ids[-1], scratch) == EXPECTED


def test_a_miss_where_a_local_snapshot_elsewhere_carries_the_same_target(
    node: Node, other: Snapshots, scratch: Path
) -> None:
    """The same layers, published nowhere: each namespace has its own."""
    image = samples.image_a()
    reference = node.registry.reference(image)
    assert other.unpack(image, reference, scratch) == ["unpacked"] * 5

    pulled = node.pull(image)

    assert pulled.outcomes == ["miss"] * 5
    result = node.containerd.cri.run(reference, "sh", "-c", samples.SHOW_A)
    assert (result.code, result.stdout) == (0, samples.SHOWN_BY_A)
    assert len(node.daemon.snapshots()) >= 10


def test_garbage_collection_looks_at_all_namespaces(
    node: Node, other: Snapshots, scratch: Path
) -> None:
    """An image that one namespace removes stays whole in the other."""
    image = samples.image_a()
    node.repository.publish(*image.layers)
    reference = node.pull(image).reference
    other.unpack(image, reference, scratch)

    node.containerd.cri.remove_image(reference)

    assert _read(other, image.chain_ids[-1], scratch) == EXPECTED
    for key in ("container", *reversed(image.chain_ids)):
        other.remove(key)
    node.containerd.ctr().run("content", "prune", "references")
    assert node.daemon.snapshots() == set()
