"""What is left when images are removed."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness import samples
from tests.harness.node import Node
from tests.harness.processes import wait_until
from tests.harness.snapshots import Snapshots

FAILED = "snapshot garbage collection failed"
"""What containerd logs when a pass ends with an error (`core/metadata/db.go`)."""


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


@pytest.mark.parametrize("setup", ["1.6", "2.1"], indirect=True)
def test_a_thousand_snapshots_in_one_pass(node: Node) -> None:
    """containerd takes all of them at once: some on remote layers, some on local ones."""
    image = samples.image_a()
    node.repository.publish(*image.layers)
    node.pull(image)
    before = _state(node)
    ctr = node.containerd.ctr()
    ctr.run("leases", "create", "--id", "thousand")
    snapshotter = node.containerd.snapshotter
    client = Snapshots.connect(node.containerd.socket, "k8s.io", snapshotter, lease="thousand")

    def make(number: int) -> None:
        client.prepare(f"container-{number}", image.chain_ids[-1])
        client.prepare(f"unpack-{number}", "")
        client.commit(f"base-{number}", f"unpack-{number}")
        if number % 2:
            client.prepare(f"local-{number}", f"base-{number}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(make, range(400)))
    client.close()
    assert len(before[0]) + 1000 == len(node.daemon.snapshots())

    ctr.run("leases", "delete", "--sync", "thousand")

    # containerd answers when the records are gone; it calls Cleanup after that.
    assert before[0] == sorted(node.daemon.snapshots())
    wait_until(f"{_state(node)} is {before} again", lambda: _state(node) == before, seconds=60.0)
    trouble = [line for line in node.containerd.log.read_text().splitlines() if FAILED in line]
    assert [] == trouble


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
