"""A real daemon with nothing but what docs/security.md says it needs."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from cvmfs_snapshotter.domain.errors import (
    AlreadyExistsError,
    ResourceExhaustedError,
    UnavailableError,
)
from cvmfs_snapshotter.domain.labels import GID_MAPPING, LAYER_DIGEST, TARGET, UID_MAPPING
from cvmfs_snapshotter.domain.layer import Digest, chain_id
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import (
    snapshots_pb2,
    snapshots_pb2_grpc,
)
from tests.contract.wire import WireSnapshotter
from tests.deploy import confined, unit
from tests.harness.daemon import Daemon
from tests.harness.layers import Layer, directory, file, layer
from tests.harness.manager import Manager
from tests.harness.mounts import mounted, unmount_below
from tests.harness.processes import processes, wait_until
from tests.harness.repository import Repository
from tests.harness.workspace import Workspace

LOWER = layer(
    directory("opaque"),
    file("opaque/hidden", "hidden"),
    directory("shared", 0o2775, uid=1234, gid=1234),
    file("shared/gone", "gone"),
    file("kept", "kept"),
)
UPPER = layer(
    directory("opaque", 0o700, uid=5, gid=6),
    file("opaque/.wh..wh..opq", ""),
    directory("shared", 0o2775, uid=1234, gid=1234),
    file("shared/.wh.gone", ""),
)
OTHER = layer(file("other", "other"))
NUMBERS = {"chown": 0, "dac_override": 1, "fowner": 3, "sys_admin": 21, "mknod": 27}
"""Bits of the capabilities (linux/capability.h)."""

WHITEOUTS_ARE_FREE = (5, 8)
"""The kernel from which on everybody may make a character device 0:0."""

Start = Callable[..., Daemon]


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """Give a directory with a short path."""
    made = Workspace.make()
    yield made
    made.sweep()


@pytest.fixture
def repository(workspace: Workspace) -> Repository:
    """Give a source with two layers, the upper of which needs a companion."""
    made = Repository.make(workspace.base / "source")
    made.publish(LOWER, UPPER)
    return made


@pytest.fixture
def start(workspace: Workspace, repository: Repository) -> Iterator[Start]:
    """Give a function that starts a daemon as the unit file confines it."""
    started: list[Daemon] = []

    def run(
        without: str = "",
        before: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Daemon:
        """Start it, with one capability less, by way of another program, or told something."""
        allowed = workspace.base / "allowed"
        allowed.write_text("\n".join(sorted(unit.allowed_calls())))
        kept = [name for name in unit.capabilities() if name != without]
        daemon = Daemon.make(workspace.base / "d", repository.path)
        daemon._program.command = (
            *before,
            *("setpriv", "--no-new-privs", "--inh-caps=-all"),
            f"--bounding-set={','.join(['-all', *(f'+{name}' for name in kept)])}",
            *(sys.executable, confined.__file__, str(unit.seccomp()), str(allowed)),
            *daemon._program.command,
        )
        daemon._program.environment = {**daemon._program.environment, **(environment or {})}
        started.append(daemon)
        return daemon.start()

    yield run
    for daemon in started:
        daemon.stop()


def _labels(wanted: Layer, target: Digest) -> dict[str, str]:
    return {TARGET: str(target), LAYER_DIGEST: wanted.digest}


def _digest(text: str) -> Digest:
    digest = Digest.parse(text)
    assert digest is not None
    return digest


LOWER_CHAIN = _digest(LOWER.diff_id)
UPPER_CHAIN = chain_id(LOWER_CHAIN, _digest(UPPER.diff_id))


def _pull(client: WireSnapshotter, wanted: Layer, target: Digest, parent: str) -> str:
    """Ask for a layer that is there, and give the name of its snapshot."""
    with pytest.raises(AlreadyExistsError):
        client.prepare(f"extract {target}", parent, _labels(wanted, target))
    (found,) = [s for batch in client.list([f'labels."{TARGET}"=={target}']) for s in batch]
    return found.name


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _children(pid: int) -> list[int]:
    return [child for child, _ in processes() if str(pid) == _parent(child)]


def _parent(pid: int) -> str:
    try:
        return _status(pid)["PPid"]
    except OSError:
        return ""


def _fill(files: Path) -> None:
    """Leave in a snapshot what containers leave: files of others, behind closed doors."""
    closed = files / "closed"
    closed.mkdir()
    (closed / "file").write_text("x" * 10_000)
    sticky = files / "sticky"
    sticky.mkdir()
    (sticky / "file").touch()
    for path, mode in ((closed, 0o500), (sticky, 0o1777)):
        path.chmod(mode)
        os.chown(path, 1000, 1000)
    os.chown(sticky / "file", 1001, 1001)
    os.chown(closed / "file", 1000, 1000)


def test_everything_works(start: Start, workspace: Workspace) -> None:
    """Hits with a companion, unpacking, commit, usage, removal: none of it needs anything else."""
    daemon = start()
    with closing(WireSnapshotter(daemon.socket)) as client:
        lower = _pull(client, LOWER, LOWER_CHAIN, "")
        upper = _pull(client, UPPER, UPPER_CHAIN, lower)
        made = client.prepare("container", upper, {UID_MAPPING: "0:7:9", GID_MAPPING: "0:8:9"})
        assert made == client.mounts("container")
        client.view("view", upper, {})
        _require_tree(daemon, workspace.base / "mnt")

        unpacked = client.prepare("unpack", "", _labels(OTHER, _digest(OTHER.diff_id)))
        _fill(Path(unpacked[0].source))
        client.commit("unpacked", "unpack", {"a": "1"})
        assert client.usage("unpacked").inodes >= 5
        client.update("unpacked", {"a": "2"}, ["labels.a"])
        for key in ("container", "view", "unpacked", upper, lower):
            client.remove(key)
        client.cleanup()

    assert [] == daemon.snapshot_directories()
    assert ["shared"] == [path.name for path in (daemon.root / "companions").iterdir()]
    mask = sum(1 << NUMBERS[name] for name in unit.capabilities())
    for pid in (daemon.pid, *_children(daemon.pid)):
        status = _status(pid)
        assert [f"{mask:016x}"] * 3 == [status[key] for key in ("CapBnd", "CapEff", "CapPrm")]
        assert ("1", "2") == (status["NoNewPrivs"], status["Seccomp"])
    assert 0o600 == stat.S_IMODE(daemon.socket.stat().st_mode)
    assert 0 == daemon.terminate()
    bad = {"warn", "warning", "error", "fatal", "panic", "not JSON"}
    assert [] == [line for line in daemon.lines() if line["level"] in bad]


def _require_tree(daemon: Daemon, target: Path) -> None:
    """Mount a container's snapshot and look at what it shows."""
    target.mkdir()
    request = snapshots_pb2.MountsRequest(key="container")
    with grpc.insecure_channel(f"unix://{daemon.socket}") as channel:
        answer = snapshots_pb2_grpc.SnapshotsStub(channel).Mounts(request, timeout=30.0)
    with mounted(answer.mounts, target):
        assert ["kept", "opaque", "shared"] == sorted(path.name for path in target.iterdir())
        assert [] == [*(target / "opaque").iterdir(), *(target / "shared").iterdir()]
        shared = (target / "shared").stat()
        assert (0o2775, 1234, 1234) == (
            stat.S_IMODE(shared.st_mode),
            shared.st_uid,
            shared.st_gid,
        )
        root = target.stat()
        assert (0o755, 7, 8) == (stat.S_IMODE(root.st_mode), root.st_uid, root.st_gid)


def test_the_service_manager_is_told(start: Start, workspace: Workspace) -> None:
    """So confined the daemon still tells that it is ready, lives and stops."""
    with closing(Manager.make(workspace.base / "n")) as manager:
        environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "2000000"}
        daemon = start(environment=environment)
        assert "READY=1" == manager.next()
        for _ in range(2):
            wait_until("a sign of life", lambda: "WATCHDOG=1" == manager.next())
        assert 0 == daemon.terminate()
        assert manager.waiting()[-1].startswith("STOPPING=1")


def _set_an_owner(daemon: Daemon, client: WireSnapshotter) -> None:
    labels = {UID_MAPPING: "0:7:9", GID_MAPPING: "0:8:9"}
    with pytest.raises(ResourceExhaustedError, match="Operation not permitted"):
        client.prepare("container", "", labels)


def _make_an_opaque_directory(daemon: Daemon, client: WireSnapshotter) -> None:
    lower = _pull(client, LOWER, LOWER_CHAIN, "")
    with pytest.raises(ResourceExhaustedError, match="Operation not permitted"):
        client.prepare("extract", lower, _labels(UPPER, UPPER_CHAIN))


def _delete_what_others_left(daemon: Daemon, client: WireSnapshotter) -> None:
    made = client.prepare("active", "", {})
    _fill(Path(made[0].source))
    client.remove("active")
    client.cleanup()
    assert 1 == len(daemon.snapshot_directories())


@pytest.mark.parametrize(
    ("without", "fails"),
    [
        ("chown", _set_an_owner),
        ("sys_admin", _make_an_opaque_directory),
        ("dac_override", _delete_what_others_left),
        ("fowner", _delete_what_others_left),
    ],
)
def test_each_capability_is_needed(
    start: Start, without: str, fails: Callable[[Daemon, WireSnapshotter], None]
) -> None:
    """Without it something fails, and says that it is not permitted."""
    daemon = start(without)
    with closing(WireSnapshotter(daemon.socket)) as client:
        fails(daemon, client)

    assert 0 == daemon.terminate()


def test_old_kernels_need_one_more(start: Start) -> None:
    """Whiteouts are device nodes: before Linux 5.8 not even a start is possible without."""
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if release >= WHITEOUTS_ARE_FREE:
        assert ["s"] == start("mknod").links()
    else:
        with pytest.raises(RuntimeError, match="not permitted"):
            start("mknod")


def test_the_confinement_confines(workspace: Workspace) -> None:
    """Whoever mounts is killed, and there are no sockets but unix ones: the tests can fail."""
    allowed = workspace.base / "allowed"
    allowed.write_text("\n".join(sorted(unit.allowed_calls())))

    def run(program: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [
                *(
                    "setpriv",
                    "--no-new-privs",
                    sys.executable,
                    confined.__file__,
                    str(unit.seccomp()),
                    str(allowed),
                ),
                *(sys.executable, "-c", program),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    mount = "import ctypes; ctypes.CDLL(None).mount(b'none', b'/mnt', b'tmpfs', 0, None)"
    assert -signal.SIGSYS == run(mount).returncode
    inet = "import socket; socket.socket(socket.AF_INET)"
    assert "PermissionError" in run(inet).stderr
    assert 0 == run("import socket; socket.socket(socket.AF_UNIX)").returncode
    executable = "import mmap; mmap.mmap(-1, 4096, prot=7)"
    assert "PermissionError" in run(executable).stderr


def test_a_source_that_is_mounted_later(
    start: Start, workspace: Workspace, repository: Repository
) -> None:
    """In a mount namespace as systemd makes it, what is mounted on the node later is seen."""
    base = workspace.base
    published = base / "published"
    repository.path.rename(published)
    repository.path.mkdir()
    subprocess.run(["mount", "--bind", base, base], check=True)
    try:
        # systemd makes the mounts of a node shared; this machine need not have one.
        subprocess.run(["mount", "--make-shared", base], check=True)
        slave = ("unshare", "--mount", "--propagation", "slave")
        daemon = start(before=slave)
        with closing(WireSnapshotter(daemon.socket)) as client:
            client.prepare("early", "", _labels(LOWER, UPPER_CHAIN))
            subprocess.run(["mount", "--bind", published, repository.path], check=True)
            name = _pull(client, LOWER, LOWER_CHAIN, "")
            # The daemon may have come to hold the root by now: then it is busy.
            subprocess.run(["umount", "--lazy", repository.path], check=True)
            with pytest.raises(UnavailableError):
                client.prepare("later", name, {})
        daemon.stop()
    finally:
        unmount_below(base)
