"""Real containers, before and after the switch."""

from cvmfs_snapshotter.domain.labels import MARKER
from tests.harness import mounts, samples
from tests.harness.cri import Container
from tests.harness.registry import Registry
from tests.harness.snapshots import Snapshots
from tests.importing.predecessor import NAME, Predecessor

# What the Go snapshotter mounted shows catalog markers, and a running container keeps that mount.
SHOW = f"cat /written; {samples.SHOW_A.partition(';')[0]}"
SHOWN = "mine\none\ntwo\nthree\nfour\nfive\nshared of three\n"


def _shell(predecessor: Predecessor, container: Container, text: str) -> str:
    result = predecessor.containerd.cri.execute(container, "sh", "-c", text)
    assert (0, "") == (result.code, result.stderr)
    return result.stdout


def _all(client: Snapshots) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for key in sorted(client.keys()):
        info = client.stat(key)
        labels = {k: v for k, v in info.labels.items() if k != MARKER}
        times = (info.created_at.ToNanoseconds(), info.updated_at.ToNanoseconds())
        found[key] = (info.parent, info.kind, labels, times)
    return found


def test_a_running_container_outlives_the_switch(
    predecessor: Predecessor, registry: Registry
) -> None:
    """It goes on, can be stopped, new ones start, and containerd notices nothing.

    A new one of an image with whiteouts shows what the image says, at last.
    """
    containerd, image = predecessor.containerd, samples.image_a()
    deleting = samples.image_b()
    predecessor.repository.publish(*image.layers[:2], *deleting.layers)
    client = predecessor.client("k8s.io")
    predecessor.provide(client, image, 2)
    predecessor.provide(client, deleting, 3)
    reference = registry.reference(image)
    containerd.cri.pull(reference)
    containerd.cri.pull(registry.reference(deleting))
    pod = containerd.cri.run_pod()
    container = containerd.cri.create(pod, reference, "sleep", "1000000")
    containerd.cri.start(container)
    _shell(predecessor, container, "echo mine > /written")
    before, usage = _all(client), client.usage(image.chain_ids[-1])
    client.close()
    containerd.kill()
    predecessor.switch()

    assert 0 == predecessor.run()
    assert 0 == predecessor.run("--apply")
    predecessor.daemon.start()
    containerd.start()

    assert SHOWN == _shell(predecessor, container, SHOW)
    client = Snapshots.connect(containerd.socket, "k8s.io", NAME)
    assert before == _all(client)
    assert usage == client.usage(image.chain_ids[-1])
    client.close()
    assert len(mounts.below(predecessor.base)) == 5
    assert 0 == predecessor.run("--confirm")
    assert not predecessor.base.exists()
    assert SHOWN == _shell(predecessor, container, SHOW)
    fresh = containerd.cri.create(pod, reference, "sleep", "1000000")
    containerd.cri.start(fresh)
    assert samples.SHOWN_BY_A == _shell(predecessor, fresh, samples.SHOW_A)
    exact = containerd.cri.create(pod, registry.reference(deleting), "sleep", "1000000")
    containerd.cri.start(exact)
    assert samples.SHOWN_BY_B == _shell(predecessor, exact, samples.SHOW_B)
    containerd.cri.remove(container)
    containerd.cri.remove_pod(pod)
    assert [] == [one for one in predecessor.daemon.infos() if one.name.endswith(container.id)]
