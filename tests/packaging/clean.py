"""A clean Debian, to install packages in: a tree of files, and a system that runs in it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import attrs

from tests.harness.cgroups import ROOT as CGROUPS
from tests.harness.cgroups import Cgroup
from tests.harness.parts import ROOT
from tests.harness.processes import wait_until
from tests.harness.workspace import workspace

UNIT = "cvmfs-snapshotter.service"
STATE = "var/lib/containerd-cvmfs-grpc"
RUNTIME = "run/containerd-cvmfs-grpc"

_SCRIPT = Path(__file__).with_name("boot.sh")

_DROP_IN = """\
[Service]
StandardOutput=append:/var/log/daemon
StandardError=append:/var/log/daemon
# Not every machine allows its containers to set it.
OOMScoreAdjust=
"""


@attrs.frozen
class Clean:
    """A tree with a clean Debian, in which nothing runs.

    Attributes:
        path: of its root directory; short, since sockets lie below.
    """

    path: Path

    @classmethod
    def make(cls, path: Path) -> Self:
        """Show the tree that `script/parts` keeps, with what is written to it in memory.

        What is below `var` is copied: on an overlay the daemon could keep no state.
        """
        subprocess.run([ROOT / "script/parts", "tree"], check=True, stdout=subprocess.DEVNULL)
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        kept = Path(home) / "cvmfs-snapshotter/parts/debian-12"
        written = path.with_name("written")
        for directory in (path, written):
            directory.mkdir()
        output_of(["mount", "-t", "tmpfs", "tmpfs", str(written)])
        for name in ("upper", "work"):
            (written / name).mkdir()
        options = f"lowerdir={kept},upperdir={written}/upper,workdir={written}/work"
        output_of(["mount", "-t", "overlay", "-o", options, "overlay", str(path)])
        output_of(["cp", "-a", str(kept / "var"), str(written)])
        output_of(["mount", "--bind", str(written / "var"), str(path / "var")])
        return cls(path)

    def command(self, *command: str) -> list[str]:
        """Give the command that runs one in the tree, without systemd."""
        inside = 'mount --bind /proc "$0/proc"; exec chroot "$0" "$@"'
        clean = ("env", "-i", "PATH=/usr/sbin:/usr/bin", "DEBIAN_FRONTEND=noninteractive")
        return ["unshare", "--mount", "sh", "-c", inside, str(self.path), *clean, *command]

    def run(self, *command: str) -> str:
        """Run a command in the tree and give all it prints."""
        return output_of(self.command(*command))

    def put(self, deb: Path) -> str:
        """Copy a package into the tree; give where it is there."""
        shutil.copy(deb, self.path / "root")
        return f"/root/{deb.name}"

    def files(self) -> set[str]:
        """Tell all names in the tree, but those of dpkg's own records and of logs."""
        names = {str(path.relative_to(self.path)) for path in self.path.rglob("*")}
        ours = ("proc/", "root/", "run/", "var/lib/dpkg/", "var/log/", "var/cache/")
        return {name for name in names if not name.startswith(ours)}


@attrs.frozen
class Booted:
    """A system that runs in a tree.

    Attributes:
        clean: the tree.
        pid: of its process 1, as the machine sees it.
    """

    clean: Clean
    pid: int

    @property
    def root(self) -> Path:
        """Its root directory, as the machine sees it."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return self.root / RUNTIME / "containerd-cvmfs-grpc.sock"

    def command(self, *command: str) -> list[str]:
        """Give the command that runs one inside."""
        entered = ("nsenter", "--target", str(self.pid), "--mount", "--pid", "--root", "--wd")
        clean = ("env", "-i", "PATH=/usr/sbin:/usr/bin", "DEBIAN_FRONTEND=noninteractive")
        return [*entered, "--", *clean, *command]

    def run(self, *command: str) -> str:
        """Run a command inside and give all it prints."""
        return output_of(self.command(*command))

    def install(self, deb: Path) -> str:
        """Install a package; what the administrator has changed in the configuration stays."""
        return self.run("dpkg", "--force-confold", "--install", self.clean.put(deb))

    def shown(self, key: str) -> str:
        """Give one property of the unit."""
        return self.run("systemctl", "show", "--value", f"--property={key}", UNIT).strip()


@contextmanager
def clean() -> Iterator[Clean]:
    """Give a clean tree, and take it away after the block."""
    with workspace() as made:
        yield Clean.make(made.base / "t")


@contextmanager
def booted() -> Iterator[Booted]:
    """Start a clean system, and end all of it after the block."""
    with workspace() as made:
        tree = Clean.make(made.base / "t")
        more = tree.path / f"etc/systemd/system/{UNIT}.d"
        more.mkdir()
        (more / "tests.conf").write_text(_DROP_IN)
        hierarchy = CGROUPS if (CGROUPS / "cgroup.procs").exists() else CGROUPS / "unified"
        cgroup = Cgroup(f"/{made.base.name}")
        directory = hierarchy / cgroup.path.removeprefix("/")
        directory.mkdir()
        process = subprocess.Popen([_SCRIPT, directory, tree.path], stdin=subprocess.DEVNULL)
        try:
            system = Booted(tree, wait_until("systemd", lambda: _child(process)))
            wait_until("its socket", (system.root / "run/systemd/private").exists)
            yield system
        finally:
            cgroup.kill()
            process.wait(30.0)


def output_of(command: list[str]) -> str:
    """Run a command and give what it prints on both outputs.

    Raises:
        RuntimeError: it failed; the message has its output.
    """
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.returncode}\n{done.stdout}")
    return done.stdout


def _child(process: "subprocess.Popen[bytes]") -> int:
    """Give the process 1 once it is systemd; 0 before."""
    if process.poll() is not None:
        raise RuntimeError("systemd was not started")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
            return int(child)
    return 0
