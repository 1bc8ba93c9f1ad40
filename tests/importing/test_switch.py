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
    """It goes on, can be stopped, new ones start, and containerd notices nothing."""
    containerd, image = predecessor.containerd, samples.image_a()
    predecessor.repository.publish(*image.layers[:2])
    client = predecessor.client("k8s.io")
    predecessor.provide(client, image, 2)
    reference = registry.reference(image)
    containerd.cri.pull(reference)
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
    assert len(mounts.below(predecessor.base)) == 2
    assert 0 == predecessor.run("--confirm")
    assert not predecessor.base.exists()
    assert SHOWN == _shell(predecessor, container, SHOW)
    fresh = containerd.cri.create(pod, reference, "sleep", "1000000")
    containerd.cri.start(fresh)
    assert samples.SHOWN_BY_A == _shell(predecessor, fresh, samples.SHOW_A)
    containerd.cri.remove(container)
    containerd.cri.remove_pod(pod)
    assert [] == [one for one in predecessor.daemon.infos() if one.name.endswith(container.id)]
