"""What is left when images are removed."""

import pytest

from tests.harness import samples
from tests.harness.node import Node
from tests.harness.processes import wait_until


def _state(node: Node) -> tuple[list[str], list[str], list[str]]:
    """Tell all that the daemon keeps: snapshots, their directories, links."""
    return (
        sorted(node.daemon.snapshots()),
        node.daemon.snapshot_directories(),
        node.daemon.links(),
    )


@pytest.mark.parametrize("published", [5, 2, 0])
def test_a_removed_image_leaves_nothing(node: Node, published: int) -> None:
    """containerd's garbage collection takes all snapshots, directories and links of an image."""
    image = samples.image_a()
    node.repository.publish(*image.layers[:published])
    before = _state(node)
    reference = node.pull(image).reference
    assert len(node.daemon.snapshots()) == len(image.layers)

    node.containerd.cri.remove_image(reference)

    assert node.containerd.ctr().snapshots(node.containerd.snapshotter) == {}
    wait_until(f"{_state(node)} is {before} again", lambda: _state(node) == before, seconds=30.0)


def test_a_container_leaves_nothing_either(node: Node) -> None:
    """The same after a container has run, which has a snapshot of its own."""
    image = samples.image_a()
    node.repository.publish(*image.layers)
    node.containerd.cri.pull(node.registry.reference(samples.sandbox()))
    before = _state(node)
    reference = node.pull(image).reference
    assert node.containerd.cri.run(reference, "true").code == 0

    node.containerd.cri.remove_image(reference)

    wait_until(f"{_state(node)} is {before} again", lambda: _state(node) == before, seconds=30.0)


def test_pulled_again_an_image_is_remote_again(node: Node) -> None:
    """What was removed can be had again, still without a download."""
    image = samples.image_a()
    node.repository.publish(*image.layers)
    first = node.pull(image)
    node.containerd.cri.remove_image(first.reference)

    again = node.pull(image)

    assert again.outcomes == ["hit"] * 5
    assert again.downloaded == [0] * 5
    result = node.containerd.cri.run(again.reference, "sh", "-c", samples.SHOW_A)
    assert (result.code, result.stdout) == (0, samples.SHOWN_BY_A)


def test_layers_that_another_image_uses_stay(node: Node) -> None:
    """Removing one image takes nothing from a container of another."""
    images = (samples.image_a(), samples.image_c())
    for image in images:
        node.repository.publish(*image.layers)
    references = [node.pull(image).reference for image in images]
    pod = node.containerd.cri.run_pod()
    container = node.containerd.cri.create(pod, references[1], "sleep", "1000000")
    node.containerd.cri.start(container)

    node.containerd.cri.remove_image(references[0])

    result = node.containerd.cri.execute(container, "sh", "-c", samples.SHOW_C)
    assert (result.code, result.stdout) == (0, samples.SHOWN_BY_C)
    assert len(node.daemon.snapshots()) >= len(images[1].layers)
