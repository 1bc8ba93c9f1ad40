"""Images pulled as a kubelet pulls them: what is downloaded, and what their containers see."""

from collections.abc import Callable

import pytest

from tests.harness import mounts, samples
from tests.harness.images import Image
from tests.harness.node import Node
from tests.harness.node import node as open_node
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace

# Everything about files but where their directory entries are; mount points of the runtime left
# out. The time of a directory changes with what a snapshotter has to put into it.
DESCRIBE = (
    "stat -c '%n %f %u %g' /; "
    "find /bin /data /tmp /etc ! -type d ! -path '/etc/[hr]*' "
    "-exec stat -c '%n %f %u %g %s %t:%T %Y' {} +; "
    "find /bin /data /tmp /etc -type d -exec stat -c '%n %f %u %g' {} +"
)

one_version = pytest.mark.parametrize("setup", ["1.6"], indirect=True)


def _sizes(image: Image) -> list[int]:
    return [len(layer.blob) for layer in image.layers]


@pytest.mark.parametrize("published", [5, 2, 0])
def test_only_layers_from_the_first_miss_on_are_downloaded(node: Node, published: int) -> None:
    """Published layers are used in place; containerd downloads what is not, and what is above."""
    image = samples.image_a()
    node.repository.publish(*image.layers[:published])

    pulled = node.pull(image)

    assert pulled.outcomes == ["hit"] * published + ["miss"] * (5 - published)
    assert pulled.downloaded == [0] * published + _sizes(image)[published:]
    stored = node.containerd.ctr().content()
    assert [layer.digest in stored for layer in image.layers] == [
        *([False] * published),
        *([True] * (5 - published)),
    ]
    result = node.containerd.cri.run(pulled.reference, "sh", "-c", samples.SHOW_A)
    assert (result.code, result.stdout, result.stderr) == (0, samples.SHOWN_BY_A, "")


def test_layers_above_a_gap_are_downloaded_and_not_unpacked(node: Node) -> None:
    """Where one in the middle is not published, the others are used; those above cost bytes."""
    image = samples.image_a()
    node.repository.publish(*image.layers[:2], *image.layers[3:])

    pulled = node.pull(image)

    assert ["hit", "hit", "miss", "hit", "hit"] == pulled.outcomes
    assert [0, 0, *_sizes(image)[2:]] == pulled.downloaded
    result = node.containerd.cri.run(pulled.reference, "sh", "-c", samples.SHOW_A)
    assert (0, samples.SHOWN_BY_A, "") == (result.code, result.stdout, result.stderr)


@pytest.mark.parametrize("setup", ["1.6", "2.1-transfer"], indirect=True)
@pytest.mark.parametrize("published", [5, 2])
def test_a_decision_says_what_and_why(node: Node, published: int) -> None:
    """Each layer has one line in the log, with digest, outcome and the reason of a miss."""
    image = samples.image_a()
    node.repository.publish(*image.layers[:published])

    decisions = node.pull(image).decisions

    for index, (layer, decision) in enumerate(zip(image.layers, decisions, strict=True)):
        assert decision is not None
        assert decision.digest == layer.digest
        assert decision.prepared == ("true" if index < published else "false")
        if index < published:
            assert decision.source == "tests"
        else:
            assert decision.reason


@one_version
@pytest.mark.parametrize("published", [5, 2, 0])
def test_a_setuid_program_works(node: Node, published: int) -> None:
    """The setuid bit of a file in a layer holds in a container, from wherever the layer comes."""
    image = samples.image_a()
    node.repository.publish(*image.layers[:published])
    reference = node.pull(image).reference

    result = node.containerd.cri.run(reference, *samples.BECOME_ROOT, user=1000)

    assert (result.code, result.stdout, result.stderr) == (0, "0\n", "")


@pytest.mark.parametrize("make", [samples.image_a, samples.image_b, samples.image_c])
def test_files_are_those_that_containerd_would_have_unpacked(
    node: Node, make: Callable[[], Image]
) -> None:
    """With all layers published, a container sees names, modes, owners, sizes and times alike."""
    image = make()
    unpacked = node.pull(image)
    expected = node.containerd.cri.run(unpacked.reference, "sh", "-c", DESCRIBE)
    assert expected.code == 0
    node.containerd.cri.remove_image(unpacked.reference)
    node.repository.publish(*image.layers)

    pulled = node.pull(image)
    seen = node.containerd.cri.run(pulled.reference, "sh", "-c", DESCRIBE)

    assert "hit" in pulled.outcomes
    assert sorted(seen.stdout.splitlines()) == sorted(expected.stdout.splitlines())
    assert seen.stderr == expected.stderr == ""


def test_a_container_writes_into_its_own_snapshot(node: Node) -> None:
    """Files of published layers can be changed and deleted in a container, and nowhere else."""
    image = samples.image_a()
    node.repository.publish(*image.layers)
    reference = node.pull(image).reference

    change = "echo changed >/data/one && rm /data/two && echo new >/data/new && ls /data"
    first = node.containerd.cri.run(reference, "sh", "-c", change)
    second = node.containerd.cri.run(reference, "sh", "-c", samples.SHOW_A)

    assert first.code == 0, first.stderr
    assert "two" not in first.stdout.split()
    assert second.stdout == samples.SHOWN_BY_A


def test_layers_that_occur_several_times(node: Node) -> None:
    """An image with one layer twice and the empty one three times works, all layers in place."""
    image = samples.image_c()
    node.repository.publish(*image.layers)

    pulled = node.pull(image)

    assert pulled.outcomes == ["hit"] * len(image.layers)
    assert pulled.downloaded == [0] * len(image.layers)
    result = node.containerd.cri.run(pulled.reference, "sh", "-c", samples.SHOW_C)
    assert (result.code, result.stdout, result.stderr) == (0, samples.SHOWN_BY_C, "")


@one_version
@pytest.mark.parametrize("published", [1, 3, 5])
def test_layers_that_occur_several_times_in_a_mixed_stack(node: Node, published: int) -> None:
    """The same image works where only its lowest layers are published."""
    image = samples.image_c()
    lowest = image.layers[:published]
    node.repository.publish(*lowest)

    pulled = node.pull(image)

    # A layer is published or not wherever it occurs.
    assert pulled.outcomes == ["hit" if each in lowest else "miss" for each in image.layers]
    result = node.containerd.cri.run(pulled.reference, "sh", "-c", samples.SHOW_C)
    assert (result.code, result.stdout, result.stderr) == (0, samples.SHOWN_BY_C, "")


def test_a_published_layer_deletes_files_of_lower_ones(node: Node) -> None:
    """Nothing is downloaded, and the container itself lists neither the files nor the markers."""
    image = samples.image_b()
    node.repository.publish(*image.layers)

    pulled = node.pull(image)

    assert pulled.outcomes == ["hit", "hit", "hit"]
    assert pulled.downloaded == [0, 0, 0]
    result = node.containerd.cri.run(pulled.reference, "sh", "-c", samples.SHOW_B)
    assert (result.code, result.stdout, result.stderr) == (0, samples.SHOWN_BY_B, "")


def test_layers_with_whiteouts_may_be_refused(base: Workspace, registry: Registry) -> None:
    """With the policy "refuse" such a layer is downloaded, and the files are gone as well."""
    image = samples.image_b()
    policy = 'whiteouts = "refuse"\n'
    with open_node(base, "refuse", registry, image.layers, policy) as node:
        pulled = node.pull(image)

        assert pulled.outcomes == ["hit", "hit", "miss"]
        assert pulled.downloaded == [0, 0, _sizes(image)[2]]
        result = node.containerd.cri.run(pulled.reference, "sh", "-c", samples.SHOW_B)
        assert (result.code, result.stdout, result.stderr) == (0, samples.SHOWN_BY_B, "")


def test_whiteouts_may_be_ignored(base: Workspace, registry: Registry) -> None:
    """With the policy "ignore" deleted files are back and markers visible, as with the Go one."""
    image = samples.image_b()
    policy = 'whiteouts = "ignore"\n'
    with open_node(base, "ignore", registry, image.layers, policy) as node:
        pulled = node.pull(image)

        assert pulled.outcomes == ["hit", "hit", "hit"]
        result = node.containerd.cri.run(pulled.reference, "ls", "-AR", "/data")
        shown = set(result.stdout.split())
        assert {".wh..wh..opq", ".wh.deleted", "deleted"} <= shown
        assert ".cvmfscatalog" not in shown


@one_version
def test_the_daemon_mounts_nothing(node: Node) -> None:
    """No mount but those of containerd for its containers; none below the daemon's root."""
    image = samples.image_a()
    node.repository.publish(*image.layers)
    reference = node.pull(image).reference
    pod = node.containerd.cri.run_pod()
    node.containerd.cri.start(node.containerd.cri.create(pod, reference, "sleep", "1000000"))

    assert mounts.below(node.daemon.directory) == []


def test_the_image_of_a_sandbox_may_be_published_too(node: Node) -> None:
    """A pod starts when the image for its sandbox, which containerd pulls itself, is in place."""
    sandbox = samples.sandbox()
    node.repository.publish(*sandbox.layers)

    pod = node.containerd.cri.run_pod()

    (decision,) = node.daemon.decisions()
    assert (decision.digest, decision.outcome) == (sandbox.layers[0].digest, "hit")
    node.containerd.cri.remove_pod(pod)
