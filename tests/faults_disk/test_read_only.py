"""A disk that became read-only, descriptors that ran out, access that is denied."""

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cvmfs_snapshotter.domain.errors import AlreadyExistsError, ResourceExhaustedError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from tests.contract.wire import WireSnapshotter
from tests.faults_disk.conftest import Node, everything, mount_small
from tests.harness.layers import Layer, file, layer, whiteout
from tests.harness.mounts import unmount_below

PLAIN = layer(file("hello", "hello\n"))
WITH_WHITEOUT = layer(file("a/kept", "kept\n"), whiteout("a/gone"))


def pull(client: WireSnapshotter, key: str, wanted: Layer) -> None:
    """Ask for a layer as containerd does."""
    client.prepare(key, "", {TARGET: wanted.diff_id, LAYER_DIGEST: wanted.digest})


def changes(client: WireSnapshotter) -> list[Callable[[], object]]:
    """Give a call of every kind that must write."""
    return [
        lambda: client.prepare("new", "", {}),
        lambda: client.view("new", "", {}),
        lambda: pull(client, "hit", PLAIN),
        lambda: pull(client, "whiteout", WITH_WHITEOUT),
        lambda: client.commit("new", "active", {}),
        lambda: client.update("active", {"x": "y"}, ["labels"]),
        lambda: client.remove("active"),
    ]


def make_read_only(disk: Path) -> None:
    """Have the file system become read-only under its users, as it does after an error."""
    command = ["findmnt", "--noheadings", "--output", "SOURCE", str(disk)]
    device = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("test")


@pytest.fixture
def served(node: Node) -> WireSnapshotter:
    """Give a client of a daemon that serves a snapshot and knows two layers."""
    node.repository.publish(PLAIN, WITH_WHITEOUT)
    node.daemon.start()
    client = node.client()
    client.prepare("active", "", {})
    client.prepare("removed", "", {})
    client.remove("removed")
    return client


@pytest.mark.parametrize("kind", ["ext4"], indirect=True)
def test_read_only(node: Node, served: WireSnapshotter) -> None:
    """What is there is served; every change is refused with the reason, and changes nothing."""
    before = everything(served)
    mounts = served.mounts("active")
    make_read_only(node.disk)

    for change in changes(served):
        with pytest.raises(ResourceExhaustedError, match=r"Read-only|cannot be written|an error"):
            change()
    assert before == everything(served)
    assert mounts == served.mounts("active")
    served.usage("active")
    assert "defect" not in str(node.daemon.lines())

    # As an operator does: the file system is checked and mounted again.
    node.daemon.stop()
    with pytest.raises(RuntimeError, match=r"cvmfs-snapshotter: .*Read-only"):
        node.daemon.start()
    unmount_below(node.disk)
    image = node.disk.parent.parent / "image"
    assert 2 > subprocess.run(["e2fsck", "-fp", image], check=False, stdout=-3).returncode
    mount_small("ext4", node.disk, image, make=False)
    node.daemon.start()
    again = node.client()
    assert before == everything(again)
    with pytest.raises(AlreadyExistsError, match="is provided"):
        pull(again, "whiteout", WITH_WHITEOUT)


@contextmanager
def no_descriptors(pid: int) -> Iterator[None]:
    """Let a process open nothing for the time of the block."""
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, usual[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)


@pytest.mark.parametrize("kind", ["tmpfs"], indirect=True)
def test_no_descriptors(node: Node, served: WireSnapshotter) -> None:
    """What must open something is refused with the reason; later everything works."""
    with pytest.raises(AlreadyExistsError):
        pull(served, "hit", PLAIN)
    before = everything(served)
    with no_descriptors(node.daemon.pid):
        for change in (
            lambda: pull(served, "whiteout", WITH_WHITEOUT),
            lambda: served.usage("active"),
            served.cleanup,
        ):
            with pytest.raises(ResourceExhaustedError, match="Too many open files"):
                change()
        assert before == everything(served)
    assert "defect" not in str(node.daemon.lines())

    with pytest.raises(AlreadyExistsError, match="is provided"):
        pull(served, "whiteout", WITH_WHITEOUT)
    served.cleanup()
    assert ["1"] == node.daemon.snapshot_directories()


@pytest.mark.parametrize("kind", ["ext4"], indirect=True)
@pytest.mark.parametrize("name", ["snapshots", "l", "companions"])
def test_denied(node: Node, served: WireSnapshotter, name: str) -> None:
    """A directory in which nothing may be changed: refused with the reason, nothing is changed."""
    before = everything(served)
    subprocess.run(["chattr", "+i", node.disk / name], check=True)
    try:
        change = {"snapshots": 0, "l": 3, "companions": 3}[name]
        with pytest.raises(ResourceExhaustedError, match="Operation not permitted"):
            changes(served)[change]()
        assert before == everything(served)
    finally:
        subprocess.run(["chattr", "-i", node.disk / name], check=True)
    served.prepare("new", "", {})
    assert "defect" not in str(node.daemon.lines())
