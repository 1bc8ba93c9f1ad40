"""A full disk: what cannot be done is told, nothing changes, and space can always be freed."""

import os
import re
import shutil
from collections.abc import Callable

import pytest

from cvmfs_snapshotter.adapters.sqlite.reserve import FILES
from cvmfs_snapshotter.domain.errors import AlreadyExistsError, ResourceExhaustedError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from cvmfs_snapshotter.entrypoints.cli import main
from tests.contract.wire import WireSnapshotter
from tests.faults_disk.conftest import Node, everything
from tests.harness.layers import layer, whiteout

BIG = {f"l{number}": "x" * 4000 for number in range(10)}

NUMEROUS = layer(*(whiteout(f"directory{number}/gone") for number in range(100)))


def until_exhausted(client: WireSnapshotter, call: Callable[[int], object]) -> str:
    """Call until that is refused for want of space, see that it changed nothing, give the message.

    What the database has left of its own may do for a while.
    """
    for number in range(2000):
        before = everything(client)
        try:
            call(number)
        except ResourceExhaustedError as error:
            assert before == everything(client)
            return str(error)
    raise AssertionError("it was never refused")


def prepare_many(client: WireSnapshotter) -> None:
    """Make enough snapshots that their labels can fill what the database has left."""
    for number in range(200):
        client.prepare(f"a{number}", "", {})


def fill_up(node: Node, client: WireSnapshotter) -> None:
    """Take all space, and then all that is left in the database's own files."""
    node.fill()
    for size in (500, 1000, 2000, 3000):
        for number in range(200):
            try:
                client.update(f"a{number}", {f"l{n}": "x" * size for n in range(8)}, ["labels"])
            except ResourceExhaustedError:
                return
    raise AssertionError("the disk never got full")


def take_space(node: Node) -> None:
    """Take all blocks."""
    node.fill()


def take_inodes(node: Node) -> None:
    """Take all names that there could be."""
    fillers = node.disk / "filler"
    fillers.mkdir()
    for number in range(os.statvfs(node.disk).f_ffree):
        (fillers / str(number)).touch()


def free_all(client: WireSnapshotter, node: Node) -> None:
    """Remove and clean up everything, as containerd does when it must."""
    for snapshot in everything(client):
        client.remove(snapshot.name)
    assert [] == everything(client)
    client.cleanup()
    assert [] == node.daemon.snapshot_directories()


def test_space_can_be_freed(node: Node) -> None:
    """What needs space is refused and nothing changes; Remove and Cleanup work; later all does."""
    node.daemon.start()
    client = node.client()
    prepare_many(client)
    fill_up(node, client)
    for call in (
        lambda n: client.prepare(f"prepared{n}", "", BIG),
        lambda n: client.view(f"view{n}", "", BIG),
        lambda n: client.commit(f"committed{n}", f"a{n}", BIG),
        lambda n: client.update(f"a{199 - n}", BIG, ["labels"]),
    ):
        told = until_exhausted(client, call)
        assert re.search("No space left on device|the disk is full", told)
    free_all(client, node)

    node.free()
    client.prepare("new", "", {})
    assert FILES == len(list((node.disk / "reserve").iterdir()))
    assert 0 == node.daemon.terminate()
    assert "defect" not in str(node.daemon.lines())


@pytest.mark.parametrize("take", [take_space, take_inodes])
@pytest.mark.parametrize("kill", [False, True])
def test_starts_on_a_full_disk(node: Node, kill: bool, take: Callable[[Node], None]) -> None:
    """However the daemon before it ended, a new one starts there, and can free the disk."""
    node.daemon.start()
    client = node.client()
    prepare_many(client)
    if kill:
        node.daemon.kill()
        take(node)
    else:
        assert 0 == node.daemon.terminate()
        take(node)
    node.daemon.start()
    client = node.client()

    assert 200 == len(everything(client))
    free_all(client, node)


@pytest.mark.parametrize("kill", [False, True])
def test_starts_again_when_all_was_used_up(node: Node, kill: bool) -> None:
    """Also when what was set aside was used, and the disk filled again."""
    node.daemon.start()
    client = node.client()
    prepare_many(client)
    fill_up(node, client)
    client.remove("a0")
    node.fill("more")
    if kill:
        node.daemon.kill()
    else:
        assert 0 == node.daemon.terminate()
    node.fill("still more")
    node.daemon.start()
    client = node.client()

    assert 199 == len(everything(client))
    free_all(client, node)


def test_a_companion_that_finds_no_room(node: Node) -> None:
    """What is needed for a layer is made as a whole or not at all, and later the layer is used."""
    node.repository.publish(NUMEROUS)
    node.daemon.start()
    client = node.client()
    labels = {TARGET: NUMEROUS.diff_id, LAYER_DIGEST: NUMEROUS.digest}
    take_inodes(node)
    with pytest.raises(ResourceExhaustedError, match=r"companion .* No space left on device"):
        client.prepare("key", "", labels)
    assert [] == everything(client)
    assert ["shared"] == [path.name for path in (node.disk / "companions").iterdir()]
    assert ["s"] == node.daemon.links()

    shutil.rmtree(node.disk / "filler")
    with pytest.raises(AlreadyExistsError, match="is provided"):
        client.prepare("key", "", labels)
    assert 1 == len(everything(client))


def test_a_backup_that_finds_no_room(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused with the reason, and nothing of it is left."""
    node.daemon.start()
    prepare_many(node.client())
    node.fill()

    assert 1 == main(["db", "backup", "--root", str(node.disk)])
    assert re.search(r"could not be backed up.*(full|No space)", capsys.readouterr().err)
    assert [] == list((node.disk / "backups").glob("*"))


def test_a_first_start_on_a_full_disk(node: Node) -> None:
    """There is nothing to free then: it is refused with the reason, and works later."""
    node.fill()
    with pytest.raises(RuntimeError, match=r"cvmfs-snapshotter: .*(No space left|disk is full)"):
        node.daemon.start()
    node.free()
    node.daemon.start()
    node.client().prepare("key", "", {})
