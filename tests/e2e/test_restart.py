"""Daemon and containerd end and start again, and nobody notices."""

from collections.abc import Callable

import pytest

from tests.harness import samples
from tests.harness.cri import Container, Pod
from tests.harness.node import Node


def _kill_daemon(node: Node) -> None:
    node.restart_daemon()


def _terminate_daemon(node: Node) -> None:
    assert node.daemon.terminate() == 0
    node.daemon.start()
    node.wait_connected()


def _kill_containerd(node: Node) -> None:
    node.containerd.kill()
    node.containerd.start()


def _terminate_containerd(node: Node) -> None:
    node.containerd.terminate()
    node.containerd.start()


def _kill_both(node: Node) -> None:
    node.daemon.kill()
    node.containerd.kill()
    node.daemon.start()
    node.containerd.start()


def _run_a(node: Node, published: int) -> tuple[str, Pod, Container]:
    """Pull image A and leave a container of it running."""
    image = samples.image_a()
    node.repository.publish(*image.layers[:published])
    reference = node.pull(image).reference
    pod = node.containerd.cri.run_pod()
    container = node.containerd.cri.create(pod, reference, "sleep", "1000000")
    node.containerd.cri.start(container)
    return reference, pod, container


def _sees_all(node: Node, container: Container) -> None:
    result = node.containerd.cri.execute(container, "sh", "-c", samples.SHOW_A)
    assert (result.code, result.stdout, result.stderr) == (0, samples.SHOWN_BY_A, "")


@pytest.mark.parametrize("published", [5, 2])
def test_a_container_outlives_the_daemon(node: Node, published: int) -> None:
    """While the daemon is dead, a running container sees its files and takes commands."""
    _, _, container = _run_a(node, published)

    node.daemon.kill()

    _sees_all(node, container)


@pytest.mark.parametrize(
    ("restart", "published"),
    [
        pytest.param(_kill_daemon, 5, id="kill-daemon"),
        pytest.param(_terminate_daemon, 5, id="end-daemon"),
        pytest.param(_kill_containerd, 5, id="kill-containerd"),
        pytest.param(_terminate_containerd, 5, id="end-containerd"),
        pytest.param(_kill_both, 5, id="kill-both"),
        pytest.param(_kill_both, 2, id="kill-both-mixed"),
    ],
)
def test_ended_and_started_again(
    node: Node, published: int, restart: Callable[[Node], None]
) -> None:
    """By SIGKILL or SIGTERM: the old container goes on, a new one starts, all is in place."""
    reference, pod, container = _run_a(node, published)

    restart(node)

    _sees_all(node, container)
    fresh = node.containerd.cri.create(pod, reference, "sleep", "1000000")
    node.containerd.cri.start(fresh)
    _sees_all(node, fresh)
    assert node.pull(samples.image_a()).downloaded == [0] * 5
    node.containerd.cri.remove_pod(pod)


def test_an_image_can_be_removed_after_a_restart(node: Node) -> None:
    """What was made before a restart is removed after it, to the last link."""
    before = (node.daemon.snapshot_directories(), node.daemon.links())
    image = samples.image_a()
    node.repository.publish(*image.layers[:2])
    reference = node.pull(image).reference

    node.restart_daemon()
    node.containerd.cri.remove_image(reference)

    assert node.daemon.snapshots() == set()
    assert (node.daemon.snapshot_directories(), node.daemon.links()) == before


def test_termination_deletes_nothing(node: Node) -> None:
    """SIGTERM ends the daemon without an error, and all its state stays."""
    reference, pod, container = _run_a(node, 2)
    before = (node.daemon.snapshot_directories(), node.daemon.links(), node.daemon.snapshots())

    assert node.daemon.terminate() == 0

    assert (node.daemon.snapshot_directories(), node.daemon.links()) == before[:2]
    assert (node.daemon.root / "metadata.sqlite").exists()
    _sees_all(node, container)
    node.daemon.start()
    node.wait_connected()
    assert node.daemon.snapshots() == before[2]
    fresh = node.containerd.cri.create(pod, reference, "sleep", "1000000")
    node.containerd.cri.start(fresh)
    _sees_all(node, fresh)
