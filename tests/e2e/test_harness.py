"""The harness itself, with containerd's own overlayfs: what it starts, it also takes away."""

import os
import signal
from collections.abc import Callable, Iterator

import grpc
import pytest

from tests.harness import leftovers, parts, samples
from tests.harness.containerd import Containerd
from tests.harness.images import Image
from tests.harness.leftovers import Machine
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace, workspace


@pytest.fixture(scope="module")
def containerd(base: Workspace, registry: Registry) -> Iterator[Containerd]:
    """A containerd without our daemon."""
    made = _make(base, registry)
    made.start()
    yield made
    made.stop()


def _make(where: Workspace, registry: Registry) -> Containerd:
    return Containerd.make(
        parts.find(),
        where.base / "overlayfs",
        where.cgroup.below("overlayfs"),
        registry=registry.host,
        sandbox=registry.reference(samples.sandbox()),
    )


@pytest.mark.parametrize(
    ("make", "show", "shown"),
    [
        (samples.image_a, samples.SHOW_A, samples.SHOWN_BY_A),
        (samples.image_b, samples.SHOW_B, samples.SHOWN_BY_B),
        (samples.image_c, samples.SHOW_C, samples.SHOWN_BY_C),
    ],
    ids=["a", "b", "c"],
)
def test_samples_are_what_they_say(
    containerd: Containerd, registry: Registry, make: Callable[[], Image], show: str, shown: str
) -> None:
    """containerd takes the images, downloads each blob once and shows the expected files."""
    image = make()
    registry.reset()
    reference = registry.reference(image)

    assert containerd.cri.pull(reference) == image.config_digest
    sent = registry.downloaded()
    assert {layer.digest: sent[layer.digest] for layer in image.layers} == {
        layer.digest: len(layer.blob) for layer in image.layers
    }

    result = containerd.cri.run(reference, "sh", "-c", show)
    assert (result.code, result.stdout, result.stderr) == (0, shown, "")
    assert set(image.chain_ids) <= set(containerd.ctr().snapshots("overlayfs"))


def test_a_removed_image_is_gone(containerd: Containerd, registry: Registry) -> None:
    """Removing an image removes its snapshots, and pulling it again downloads it again."""
    image = samples.image_a()
    reference = registry.reference(image)
    containerd.cri.pull(reference)
    assert reference in containerd.cri.images()

    containerd.cri.remove_image(reference)

    assert reference not in containerd.cri.images()
    assert not set(image.chain_ids) & set(containerd.ctr().snapshots("overlayfs"))
    registry.reset()
    containerd.cri.pull(reference)
    assert registry.downloaded()[image.layers[0].digest] == len(image.layers[0].blob)


def test_a_setuid_program_works(containerd: Containerd, registry: Registry) -> None:
    """The setuid program of image A makes another user root."""
    reference = registry.reference(samples.image_a())
    containerd.cri.pull(reference)

    result = containerd.cri.run(reference, *samples.BECOME_ROOT, user=1000)

    assert (result.code, result.stdout) == (0, "0\n")


def test_exec_and_exit_status(containerd: Containerd, registry: Registry) -> None:
    """A command in a running container gives its output and its status."""
    reference = registry.reference(samples.image_a())
    containerd.cri.pull(reference)
    pod = containerd.cri.run_pod()
    container = containerd.cri.create(pod, reference, "sleep", "1000000")
    containerd.cri.start(container)

    result = containerd.cri.execute(container, "sh", "-c", "cat /data/one; echo no >&2; exit 3")

    assert (result.code, result.stdout, result.stderr) == (3, "one\n", "no\n")
    containerd.cri.remove_pod(pod)


def test_a_container_outlives_containerd(registry: Registry) -> None:
    """Killed and started again, containerd has the container as before."""
    with workspace() as made:
        containerd = _make(made, registry).start()
        reference = registry.reference(samples.image_a())
        containerd.cri.pull(reference)
        pod = containerd.cri.run_pod()
        container = containerd.cri.create(pod, reference, "sleep", "1000000")
        containerd.cri.start(container)

        containerd.kill()
        with pytest.raises(grpc.RpcError):
            containerd.cri.version()
        containerd.start()

        assert containerd.cri.execute(container, "cat", "/data/one").stdout == "one\n"
        containerd.stop()


def test_nothing_is_left_of_a_stopped_containerd(registry: Registry) -> None:
    """Stopped while a pod runs, containerd leaves no process, mount, cgroup or socket."""
    with workspace() as made:
        containerd = _running_pod(made, registry)
        assert _traces(containerd), "the pod cannot be seen: the test would prove nothing"

        containerd.stop()

        assert _traces(containerd) == []


def test_nothing_is_left_of_killed_ones(registry: Registry) -> None:
    """A sweep takes away what a containerd and a shim leave that were killed."""
    before = Machine.now()
    with workspace() as made:
        containerd = _running_pod(made, registry)
        containerd.kill()
        shim = next(pid for pid, line in leftovers.of_base(made.base) if "shim" in line[0])
        os.kill(shim, signal.SIGKILL)
        containerd.cri.close()
        traces = " ".join(_traces(containerd))
        assert "cgroup" in traces
        assert "mount" in traces

    assert leftovers.find(made.base, made.cgroup, before) == []


def test_leftovers_are_found() -> None:
    """A forgotten directory is reported, so that an empty report means something."""
    made = Workspace.make()
    try:
        left = leftovers.find(made.base, made.cgroup, Machine.now())
        assert left == [f"directory: {made.base}"]
    finally:
        made.sweep()


def _running_pod(where: Workspace, registry: Registry) -> Containerd:
    containerd = _make(where, registry).start()
    reference = registry.reference(samples.image_a())
    containerd.cri.pull(reference)
    pod = containerd.cri.run_pod()
    containerd.cri.start(containerd.cri.create(pod, reference, "sleep", "1000000"))
    return containerd


def _traces(containerd: Containerd) -> list[str]:
    """Tell what is there of a containerd besides its directory."""
    return [
        each
        for each in leftovers.find(containerd.directory, containerd.cgroup, Machine.now())
        if not each.startswith("directory")
    ]
