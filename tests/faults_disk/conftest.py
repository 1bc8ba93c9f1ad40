"""A daemon whose state directory is a small file system of its own."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.domain.snapshot import Snapshot
from tests.contract.wire import WireSnapshotter
from tests.harness.daemon import Daemon
from tests.harness.mounts import unmount_below
from tests.harness.repository import Repository
from tests.harness.workspace import workspace

SIZE = "48M"
"""Of the file systems: room for what is set aside, and soon filled."""

INODES = 1500

MAKERS = {
    "tmpfs": (),
    "ext4": ("mkfs.ext4", "-q", "-b", "4096", "-N", str(INODES)),
}


@attrs.define
class Node:
    """A daemon, the small disk that its state is on, and a source.

    Attributes:
        daemon: of which nothing was started yet.
        disk: its state directory, where the small file system is mounted.
        repository: the source.
    """

    daemon: Daemon
    disk: Path
    repository: Repository
    _held: ExitStack

    def client(self) -> WireSnapshotter:
        """Give a client of the daemon; it is closed after the test."""
        client = WireSnapshotter(self.daemon.socket)
        self._held.callback(client.close)
        return client

    def fill(self, name: str = "filler") -> None:
        """Take all space, down to the last block."""
        with (self.disk / name).open("ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while filler.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Give the space back that the first filling has taken."""
        (self.disk / "filler").unlink()


def everything(client: WireSnapshotter) -> list[Snapshot]:
    """List all snapshots."""
    found = [snapshot for batch in client.list([]) for snapshot in batch]
    return sorted(found, key=lambda snapshot: snapshot.name)


@pytest.fixture(params=["ext4", "tmpfs"])
def kind(request: pytest.FixtureRequest) -> str:
    """Give the type of the small file system, "none" for the disk that is there."""
    return str(request.param)


@pytest.fixture
def node(kind: str) -> Iterator[Node]:
    """Give a node; afterwards everything is ended and unmounted."""
    with workspace() as work, ExitStack() as held:
        repository = Repository.make(work.base / "source")
        daemon = Daemon.make(work.base / "d", repository.path)
        held.callback(daemon.stop)
        disk = daemon.root
        disk.mkdir(0o700)
        if kind != "none":
            mount_small(kind, disk, work.base / "image")
        held.callback(unmount_below, disk)
        yield Node(daemon, disk, repository, held)


def mount_small(kind: str, point: Path, image: Path, *, make: bool = True) -> None:
    """Mount a small file system, a new one if wanted; some have an image, which is a file."""
    if kind == "tmpfs":
        command = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={SIZE},nr_inodes={INODES},mode=0700",
            "tmpfs",
            str(point),
        ]
    else:
        if make:
            subprocess.run(["truncate", "--size", SIZE, image], check=True)
            subprocess.run([*MAKERS[kind], image], check=True)
        command = ["mount", "-o", "loop,errors=remount-ro", str(image), str(point)]
    subprocess.run(command, check=True)
