"""Records or the whole state directory taken away, replaced, held or spoilt under the daemon."""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cvmfs_snapshotter.domain.errors import UnavailableError
from cvmfs_snapshotter.entrypoints.cli import main
from tests.contract.wire import WireSnapshotter
from tests.faults_disk.conftest import Node, everything

pytestmark = pytest.mark.parametrize("kind", ["none"], indirect=True)


@pytest.fixture
def served(node: Node) -> WireSnapshotter:
    """Give a client of a daemon that serves a snapshot."""
    node.daemon.start()
    client = node.client()
    client.prepare("first", "", {})
    return client


def database(node: Node) -> Path:
    """Give the path of the records."""
    return node.disk / "metadata.sqlite"


def contents(directory: Path) -> dict[str, str]:
    """Give a digest of every file in a directory, locks and the index of the WAL apart."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "lock" and not path.name.endswith("-shm")
    }


def refused(node: Node) -> str:
    """Start a daemon that does not start, and give what it says."""
    with pytest.raises(RuntimeError) as raised:
        node.daemon.start()
    return str(raised.value)


def every_call(client: WireSnapshotter) -> list[Callable[[], object]]:
    """Give a call of every kind."""
    return [
        lambda: client.prepare("new", "", {}),
        lambda: client.view("new", "", {}),
        lambda: client.mounts("first"),
        lambda: client.commit("new", "first", {}),
        lambda: client.update("first", {"x": "y"}, ["labels"]),
        lambda: client.remove("first"),
        lambda: client.stat("first"),
        lambda: client.usage("first"),
        lambda: everything(client),
        client.cleanup,
    ]


def _another_in_its_place(node: Node) -> None:
    node.disk.rename(node.disk.with_name("away"))
    shutil.copytree(
        node.disk.with_name("away"),
        node.disk,
        symlinks=True,
        ignore=shutil.ignore_patterns("companions"),
    )


def _moved_away(node: Node) -> None:
    node.disk.rename(node.disk.with_name("away"))


@pytest.mark.parametrize("take", [_another_in_its_place, _moved_away])
def test_the_state_directory_is_replaced(
    node: Node, served: WireSnapshotter, take: Callable[[Node], None]
) -> None:
    """Nothing is done on either of the two; when the old one is back, everything goes on."""
    before = everything(served)
    take(node)
    there = contents(node.disk) if node.disk.exists() else {}
    for call in every_call(served):
        with pytest.raises(UnavailableError, match=r"was replaced|is gone"):
            call()
    assert there == (contents(node.disk) if node.disk.exists() else {})

    if node.disk.exists():
        node.disk.rename(node.disk.with_name("other"))
    node.disk.with_name("away").rename(node.disk)
    assert before == everything(served)
    served.prepare("second", "", {})
    assert 0 == node.daemon.terminate()


def test_the_end_leaves_another_directory_alone(node: Node, served: WireSnapshotter) -> None:
    """A daemon that ends does not touch the files that have the names of its own."""
    _another_in_its_place(node)
    with closing(sqlite3.connect(database(node), isolation_level=None)) as other:
        other.execute("UPDATE sources SET path = '/other'")
        there = contents(node.disk)
        assert any(name.endswith("-wal") for name in there)
        assert 0 == node.daemon.terminate()
        assert there == contents(node.disk)


def test_the_records_are_deleted(node: Node, served: WireSnapshotter) -> None:
    """Every call is refused, and so is a start: containerd still knows what is gone."""
    database(node).unlink()
    for call in every_call(served):
        with pytest.raises(UnavailableError, match="is gone"):
            call()
    node.daemon.stop()
    told = refused(node)

    assert "records (metadata.sqlite) are gone" in told or "missing or empty" in told
    assert ["1"] == node.daemon.snapshot_directories()


def test_deleted_records_can_be_saved(node: Node, served: WireSnapshotter) -> None:
    """As the documentation says: the process still has them, until it ends."""
    database(node).unlink()
    descriptors = Path(f"/proc/{node.daemon.pid}/fd")
    deleted = f"{database(node)} (deleted)"
    saved = node.disk.with_name("saved")
    ours = next(each for each in descriptors.iterdir() if str(each.readlink()) == deleted)
    shutil.copyfile(ours, saved)
    shutil.copyfile(f"{database(node)}-wal", f"{saved}-wal")
    node.daemon.stop()

    assert 0 == main(["db", "restore", "--root", str(node.disk), str(saved)])
    node.daemon.start()
    assert ["first"] == [snapshot.name for snapshot in everything(node.client())]


def test_the_records_are_gone_at_start(
    node: Node, served: WireSnapshotter, capsys: pytest.CaptureFixture[str]
) -> None:
    """Snapshots without records are not started upon; the ways on are named, and work."""
    assert 0 == node.daemon.terminate()
    database(node).rename(node.disk / "hidden")
    told = refused(node)
    assert "holds 1 snapshots, but their records (metadata.sqlite) are gone" in told
    assert "--fresh" in told
    assert "db restore" not in told
    assert not database(node).exists()

    (node.disk / "backups").mkdir()
    backup = node.disk / "backups" / "metadata.sqlite.0001.20260101T000000.000000Z.bak"
    (node.disk / "hidden").rename(backup)
    assert f"db restore --root={node.disk} {backup}" in refused(node)
    assert 0 == main(["db", "restore", "--root", str(node.disk), str(backup)])
    assert "is in place" in capsys.readouterr().out
    node.daemon.start()
    assert ["first"] == [snapshot.name for snapshot in everything(node.client())]


def test_a_lost_tail_is_told(node: Node, served: WireSnapshotter) -> None:
    """A WAL that was cut short after a crash ends the start; no byte is changed."""
    node.daemon.kill()
    wal = node.disk / "metadata.sqlite-wal"
    os.truncate(wal, wal.stat().st_size // 2)
    before = contents(node.disk)

    assert "was cut short" in refused(node)
    assert before == contents(node.disk)


@pytest.mark.parametrize("spoil", ["owner", "mode"])
def test_records_of_somebody_else(node: Node, served: WireSnapshotter, spoil: str) -> None:
    """Records that others have written, or can write to, are not relied on."""
    assert 0 == node.daemon.terminate()
    if spoil == "owner":
        os.chown(database(node), 1000, 1000)
    else:
        database(node).chmod(0o666)
    told = refused(node)

    assert f"{database(node)} cannot be relied on" in told
    assert f"chown root: {database(node)}" in told
    os.chown(database(node), 0, 0)
    database(node).chmod(0o600)
    node.daemon.start()


@contextmanager
def held(node: Node, how: str) -> Iterator[None]:
    """Hold the records as a shell does."""
    with closing(sqlite3.connect(database(node), isolation_level=None)) as shell:
        if how == "exclusive":
            shell.execute("PRAGMA locking_mode=EXCLUSIVE")
        shell.execute("BEGIN IMMEDIATE")
        shell.execute("UPDATE sources SET path = path")
        yield
        shell.execute("ROLLBACK")


def test_held_by_a_shell_while_running(node: Node, served: WireSnapshotter) -> None:
    """Readers go on; writers are told so after a while, and later everything works."""
    with held(node, "normal"):
        assert "first" == served.stat("first").name
        with pytest.raises(UnavailableError, match="another process holds the database"):
            served.update("first", {"x": "y"}, ["labels"])
    served.update("first", {"x": "y"}, ["labels"])


def test_held_by_a_shell_at_start(node: Node, served: WireSnapshotter) -> None:
    """A daemon serves although a shell has begun to write; nothing is written over it."""
    node.daemon.kill()
    with held(node, "normal"):
        node.daemon.start()
        again = node.client()
        assert "first" == again.stat("first").name
    again.prepare("second", "", {})


def test_held_for_itself_at_start(node: Node, served: WireSnapshotter) -> None:
    """Records that somebody keeps for himself end the start, and he can be found."""
    assert 0 == node.daemon.terminate()
    before = contents(node.disk)
    # Whoever reads the file in this process meanwhile ends its locks (fcntl(2)).
    with held(node, "exclusive"):
        told = refused(node)
    assert "another process holds the database" in told
    assert f"fuser {database(node)}" in told
    assert before == contents(node.disk)
    node.daemon.start()
