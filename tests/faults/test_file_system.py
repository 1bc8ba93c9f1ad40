import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.stand import ABSENT, LAYERS, files, listed, place
from tests.harness import mounts
from tests.harness.fuse import tree
from tests.harness.fuse.faults import (
    OUT_OF_REACH,
    Operation,
    attributes_denied,
    fails,
    hangs,
    takes,
)
from tests.harness.fuse.file_system import FileSystem, file_system
from tests.harness.processes import wait_until
from tests.harness.repository import Repository


def _state_of(process: "subprocess.Popen[bytes]") -> str:
    """Give the letter of proc(5) for the state of a process."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def _waits_for_an_answer(process: "subprocess.Popen[bytes]") -> bool:
    """Tell whether a process sleeps in the kernel until a request to a server is answered."""
    return Path(f"/proc/{process.pid}/wchan").read_text() == "request_wait_answer"


TOUCHES: dict[Operation, Callable[[Path], object]] = {
    Operation.GETATTR: lambda path: path.parents[3].stat(),
    Operation.LOOKUP: lambda path: os.lstat(path / "data/never looked up"),
    Operation.OPENDIR: listed,
    Operation.READDIR: listed,
    Operation.OPEN: lambda path: (path / "data/0").read_bytes(),
    Operation.READ: lambda path: (path / "data/0").read_bytes(),
    Operation.READLINK: lambda path: (path / "data/link-0").readlink(),
    Operation.GETXATTR: lambda path: os.getxattr(path, "user.fqrn"),
    Operation.STATFS: os.statvfs,
}


def test_it_shows_the_tree(cvmfs: FileSystem, repository: Repository) -> None:
    """Every name, kind, mode, owner, time and content of the tree is there."""

    def described(root: Path) -> list[tuple[object, ...]]:
        found = []
        for name, directories, names in os.walk(root):
            for each in (".", *directories, *names):
                path = Path(name) / each
                status = path.lstat()
                content: object = path.readlink() if path.is_symlink() else None
                content = path.read_bytes() if path.is_file() else content
                inside = str(path.relative_to(root))
                owner = (status.st_uid, status.st_gid)
                found.append((inside, status.st_mode, owner, status.st_mtime_ns, content))
        return sorted(found, key=str)

    expected = described(repository.path)

    assert len(expected) > len(LAYERS) * 4
    assert expected == described(cvmfs.point)


def test_it_looks_like_a_client_of_cvmfs(cvmfs: FileSystem) -> None:
    """Type, source and state of the mount are a CVMFS client's, the length of names 0 for one."""
    found = subprocess.run(
        ["findmnt", "--noheadings", "--output", "FSTYPE,SOURCE", cvmfs.point],
        check=True,
        capture_output=True,
        text=True,
    )
    options = os.statvfs(cvmfs.point)

    assert ["fuse", "cvmfs2"] == found.stdout.split()
    assert options.f_namemax == 0
    assert options.f_flag & os.ST_RDONLY
    assert options.f_flag & os.ST_NOSUID
    assert options.f_flag & os.ST_NODEV


def test_magic_attributes(cvmfs: FileSystem) -> None:
    """They are listed on the root alone and can be read everywhere; others there are none."""
    layer = files(cvmfs, LAYERS[0])

    assert {"user.fqrn", "user.nioerr", "user.revision"} <= set(os.listxattr(cvmfs.point))
    assert [] == os.listxattr(layer)
    assert b"unpacked.example.org" == os.getxattr(layer, "user.fqrn")
    with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
        os.getxattr(layer, "security.capability")


def test_counters_of_a_catalog(cvmfs: FileSystem) -> None:
    """A path inside a layer tells the counts of that layer."""
    lines = os.getxattr(files(cvmfs, LAYERS[0]) / "data", tree.COUNTERS).decode().splitlines()

    assert f"catalog_mountpoint: {place(LAYERS[0])}" in lines
    assert {"regular,2", "symlink,1", "dir,2", "file_size,2"} <= set(lines)


def test_attributes_can_be_others(cvmfs: FileSystem) -> None:
    """Another repository can be played, and healing ends that."""
    cvmfs.breaks(fqrn="other.example.org")
    other = os.getxattr(cvmfs.point, "user.fqrn")
    cvmfs.heals()

    assert b"other.example.org" == other
    assert b"unpacked.example.org" == os.getxattr(cvmfs.point, "user.fqrn")


@pytest.mark.parametrize("operation", Operation, ids=lambda each: each.value)
@pytest.mark.parametrize(
    "number",
    [errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ELOOP, errno.EACCES],
    ids=errno.errorcode.get,
)
def test_each_operation_fails_with_each_error(
    repository: Repository, operation: Operation, number: int
) -> None:
    """An operation that is told to fail ends with that error, and is right again when healed."""
    # Nothing is kept: what the kernel answers from its caches does not fail.
    point = repository.path.parent / "cvmfs"
    with file_system(repository.path, point, kept=0) as cvmfs:
        layer = files(cvmfs, LAYERS[0])
        cvmfs.breaks(fails(number, operation))
        with pytest.raises(OSError, match=os.strerror(number)) as failed:
            TOUCHES[operation](layer)
        cvmfs.heals()
        healed = (layer / "data/0").read_text()

    assert number == failed.value.errno
    assert "0\n" == healed


def test_a_delay(cvmfs: FileSystem) -> None:
    """An operation that is told to take longer does, and then succeeds."""
    cvmfs.breaks(takes(0.5, Operation.GETXATTR))
    started = time.monotonic()
    named = os.getxattr(cvmfs.point, "user.fqrn")

    assert time.monotonic() - started >= 0.5
    assert b"unpacked.example.org" == named


def test_a_fault_of_one_layer(cvmfs: FileSystem) -> None:
    """A fault can be one of a single layer; the others are well."""
    cvmfs.breaks(fails(errno.EIO, below=place(LAYERS[0])))

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        listed(files(cvmfs, LAYERS[0]))
    assert {".cvmfscatalog", "data"} == listed(files(cvmfs, LAYERS[1]))


@pytest.mark.parametrize("operation", Operation, ids=lambda each: each.value)
def test_hang_and_release(repository: Repository, operation: Operation) -> None:
    """An operation hangs as long as it is told to, and then goes on as if nothing had been."""
    code = (
        "import pathlib, sys; from tests.faults.test_file_system import *;"
        f"TOUCHES[Operation.{operation.name}](pathlib.Path(sys.argv[1]))"
    )
    with file_system(repository.path, repository.path.parent / "cvmfs", kept=0) as cvmfs:
        cvmfs.breaks(hangs(operation))
        layer = files(cvmfs, LAYERS[0])
        with cvmfs.visited(sys.executable, "-c", code, layer) as visitor:
            cvmfs.wait_hanging(1)
            hung = visitor.poll() is None
            cvmfs.heals()
            status = visitor.wait(60)

    assert hung
    # Nothing is there under the name that is looked up.
    assert (1 if operation is Operation.LOOKUP else 0) == status


def test_a_visitor_killed_while_it_hangs(cvmfs: FileSystem) -> None:
    """It stays, in uninterruptible sleep, as with a client that has read the request."""
    cvmfs.breaks(hangs(Operation.OPENDIR))
    with cvmfs.visited("ls", cvmfs.point) as visitor:
        cvmfs.wait_hanging(1)
        asleep = _state_of(visitor)
        visitor.kill()
        wait_until("the killed visitor cannot be interrupted", lambda: _state_of(visitor) == "D")
        cvmfs.heals()
        status = visitor.wait(30)

    assert asleep == "S"
    assert -signal.SIGKILL == status


def test_a_client_that_is_stopped(cvmfs: FileSystem) -> None:
    """Its visitors wait, end at once when they are killed, and go on when it does."""
    cvmfs.stops()
    with cvmfs.visited("ls", cvmfs.point) as killed:
        wait_until("it waits", lambda: _waits_for_an_answer(killed))
        killed.kill()
        status = killed.wait(30)
    with cvmfs.visited("ls", "-A", cvmfs.point) as patient:
        wait_until("it waits", lambda: _waits_for_an_answer(patient))
        cvmfs.continues()
        output, _ = patient.communicate(timeout=30)

    assert -signal.SIGKILL == status
    assert b".layers\n" == output


def test_out_of_reach(cvmfs: FileSystem) -> None:
    """Without servers, what was used before is served; all else is EIO, absent names too."""
    known, new = files(cvmfs, LAYERS[0]), files(cvmfs, LAYERS[1])
    listed(known)
    cvmfs.breaks(OUT_OF_REACH)

    assert {".cvmfscatalog", "data"} == listed(known)
    assert b"unpacked.example.org" == os.getxattr(cvmfs.point, "user.fqrn")
    for path in (new, files(cvmfs, ABSENT)):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            path.stat()
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        (known / "data/0").read_bytes()
    assert b"3" <= os.getxattr(cvmfs.point, "user.nioerr")
    cvmfs.heals()
    assert new.is_dir()


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENODATA], ids=errno.errorcode.get)
def test_denied_attributes(cvmfs: FileSystem, number: int) -> None:
    """A client that protects its attributes serves everything else."""
    cvmfs.breaks(attributes_denied(number))

    with pytest.raises(OSError, match=os.strerror(number)):
        os.getxattr(cvmfs.point, "user.fqrn")
    assert {".layers"} == listed(cvmfs.point)


def test_death(cvmfs: FileSystem) -> None:
    """`stat` of what is cached succeeds, what asks the client is ENOTCONN; a mount mends it."""
    layer = files(cvmfs, LAYERS[0])
    listed(layer)
    cvmfs.dies()

    assert layer.stat().st_mode
    for operation in (Operation.LOOKUP, Operation.OPENDIR, Operation.GETXATTR, Operation.STATFS):
        with pytest.raises(OSError, match=os.strerror(errno.ENOTCONN)):
            TOUCHES[operation](layer)
    assert cvmfs.mounted
    cvmfs.unmount()
    cvmfs.mount()
    assert {".cvmfscatalog", "data"} == listed(layer)


def test_a_mount_point_with_nothing_mounted(cvmfs: FileSystem) -> None:
    """What is left when the file system is gone is an empty directory."""
    cvmfs.unmount()

    assert not cvmfs.mounted
    assert set() == listed(cvmfs.point)


def test_a_layer_vanishes(cvmfs: FileSystem, repository: Repository) -> None:
    """A layer that is withdrawn is there as long as the kernel keeps its name, and then gone."""
    layer = files(cvmfs, LAYERS[0])
    before = layer.is_dir()
    repository.withdraw(LAYERS[0])
    kept = layer.is_dir()
    cvmfs.forget()

    assert before
    assert kept
    assert not layer.exists()


def test_the_end_of_a_file_system_that_hangs(repository: Repository) -> None:
    """Also a file system whose visitors hang, killed, is gone at the end of its block."""
    point = repository.path.parent / "cvmfs"
    with file_system(repository.path, point) as cvmfs:
        cvmfs.breaks(hangs())
        visitors = [subprocess.Popen(["ls", point], stderr=subprocess.DEVNULL) for _ in range(40)]
        cvmfs.wait_hanging(len(visitors))
        for visitor in visitors:
            visitor.kill()
    for visitor in visitors:
        visitor.wait(30)

    assert [] == mounts.below(point)
    assert set() == listed(point)


def test_a_visitor_that_still_hangs(cvmfs: FileSystem) -> None:
    """A test that leaves its visitor hanging, since it failed, goes on and leaves none behind."""
    cvmfs.breaks(hangs())
    with cvmfs.visited("ls", cvmfs.point) as visitor:
        cvmfs.wait_hanging(1)

    assert visitor.returncode is not None
    with pytest.raises(RuntimeError, match="no server"):
        cvmfs.heals()


def test_a_server_that_does_not_start(tmp_path: Path) -> None:
    """What the server says of its failure is told."""
    missing = FileSystem(tmp_path, tmp_path / "missing")
    try:
        with pytest.raises(RuntimeError, match=r"has ended: (.|\n)*missing"):
            missing.mount()
    finally:
        missing.close()
