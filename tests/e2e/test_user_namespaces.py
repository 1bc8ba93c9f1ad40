"""Containers in user namespaces of their own, over layers that lie in place.

We do not advertise the capability to map owners (`remap-ids`), so containerd copies the whole
image into a local snapshot and changes all owners there: right, but slow and big, once for each
mapping.
"""

import pytest

from tests.harness import samples
from tests.harness.node import Node
from tests.harness.processes import wait_until

IMAGE = samples.image_a()
ROOT = 100_000
"""User and group of the machine that is root in the namespace."""
MAPPING = ("--uidmap", f"0:{ROOT}:65536", "--gidmap", f"0:{ROOT}:65536")

LIST = (
    "cat /proc/self/uid_map; "
    "find /bin /data /tmp -exec stat -c '%n %f %u %g %t:%T' {} + | sort; "
    "cat /data/one /data/five /data/of-user"
)
SETUID = "/data/su 89ed 0 0 0:0"
WITHOUT = "/data/su 81ed 0 0 0:0"


def _pull(node: Node) -> str:
    node.repository.publish(*IMAGE.layers)
    pulled = node.pull(IMAGE)
    assert [0] * 5 == pulled.downloaded
    return pulled.reference


def _copied(node: Node) -> int:
    """Tell how many copies of the image's biggest file there are, all of them for the mapping."""
    copies = list((node.daemon.root / "snapshots").glob("*/fs/data/su"))
    assert {(ROOT, ROOT)} >= {(path.stat().st_uid, path.stat().st_gid) for path in copies}
    return len(copies)


def _list(node: Node, reference: str, *mapping: str) -> list[str]:
    ctr, snapshotter = node.containerd.ctr(), node.containerd.snapshotter
    shell = ("/bin/sh", "-c", LIST)
    return ctr.run_container(reference, snapshotter, "mapped", *shell, more=mapping).splitlines()


@pytest.mark.parametrize("setup", ["1.6", "1.7", "2.1"], indirect=True)
def test_the_image_is_copied_once_for_each_mapping(node: Node) -> None:
    """Inside all owners are those of the image; outside there is one copy, of all its files."""
    reference = _pull(node)
    expected = _list(node, reference)
    assert 0 == _copied(node)

    first = _list(node, reference, *MAPPING)
    second = _list(node, reference, *MAPPING)

    assert ["0", str(ROOT), "65536"] == first[0].split()
    assert first == second
    # Changing the owner takes the setuid bit away, and only 2.x puts it back: with overlayfs too.
    lost = node.containerd.version.startswith("1.")
    assert SETUID in expected
    assert [WITHOUT if lost and line == SETUID else line for line in expected[1:]] == first[1:]
    assert 1 == _copied(node)
    assert {0} == {node.registry.downloaded().get(layer.digest, 0) for layer in IMAGE.layers}


@pytest.mark.parametrize("setup", ["1.6", "1.7", "2.1"], indirect=True)
def test_the_copy_goes_with_its_last_container(node: Node) -> None:
    """The next garbage collection takes the copy, and leaves the image."""
    reference = _pull(node)
    before = node.daemon.snapshots()
    _list(node, reference, *MAPPING)

    node.containerd.ctr().run("content", "prune", "references")

    assert before == node.daemon.snapshots()
    wait_until("the copy is gone", lambda: _copied(node) == 0)


@pytest.mark.parametrize("setup", ["1.7"], indirect=True)
def test_a_pod_with_a_user_namespace(node: Node) -> None:
    """The same through the CRI, as for a pod with `hostUsers: false`."""
    reference = _pull(node)

    result = node.containerd.cri.run(reference, "sh", "-c", LIST, users_from=ROOT)

    lines = result.stdout.splitlines()
    assert (0, "") == (result.code, result.stderr)
    assert ["0", str(ROOT), "65536"] == lines[0].split()
    assert "/data/of-user 81a0 1000 1000 0:0" in lines
    assert WITHOUT in lines
    assert 1 == _copied(node)


@pytest.mark.parametrize("setup", ["1.6"], indirect=True)
def test_the_cri_of_1_6_knows_no_user_namespaces(node: Node) -> None:
    """It ignores the wish, so that nothing is copied."""
    reference = _pull(node)

    result = node.containerd.cri.run(reference, "sh", "-c", LIST, users_from=ROOT)

    assert ["0", "0"] == result.stdout.splitlines()[0].split()[:2]
    assert SETUID in result.stdout
    assert 0 == _copied(node)


@pytest.mark.parametrize("setup", ["2.1", "2.1-transfer"], indirect=True)
def test_the_sandbox_of_a_pod_with_a_user_namespace(node: Node) -> None:
    """Through the CRI of 2.1 the sandbox's image is copied; containers need runc 1.2 there."""
    sandbox = samples.sandbox()
    node.repository.publish(*sandbox.layers)

    pod = node.containerd.cri.run_pod(users_from=ROOT)

    (decision,) = node.daemon.decisions()
    assert "hit" == decision.outcome
    (copy,) = (node.daemon.root / "snapshots").glob("*/fs/bin/busybox")
    assert ROOT == copy.stat().st_uid
    node.containerd.cri.remove_pod(pod)
