"""A real systemd, process 1 in namespaces of its own, that starts the unit."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from tests.deploy import unit
from tests.harness import parts
from tests.harness.cgroups import ROOT, Cgroup
from tests.harness.daemon import PROGRAM
from tests.harness.processes import wait_until

SCRIPT = Path(__file__).with_name("boot.sh")

NAME = "cvmfs-snapshotter.service"

CONFIG = "/media/config.toml"

DROP_IN = """\
[Unit]
# The units of a whole system are not there.
DefaultDependencies=no

[Service]
StandardOutput=append:/run/log
StandardError=append:/run/log
# Sooner than on a node, so that nobody has to wait.
WatchdogSec=8
# Not every machine allows its containers to set it.
OOMScoreAdjust=
# The program may be in a checkout below it.
PrivateTmp=no
"""


@attrs.frozen
class System:
    """A system that was started.

    Attributes:
        pid: of its process 1, as the machine sees it.
    """

    pid: int

    @property
    def root(self) -> Path:
        """Its root directory, as the machine sees it."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return self.root / "run/containerd-cvmfs-grpc/containerd-cvmfs-grpc.sock"

    def run(self, *command: str) -> str:
        """Run a command inside and give what it prints."""
        entered = ("nsenter", "--target", str(self.pid), "--mount", "--pid", "--", *command)
        done = subprocess.run(entered, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def control(self, *arguments: str) -> str:
        """Run systemctl and give what it prints."""
        found = parts.find_all()
        libraries = f"LD_LIBRARY_PATH={found.systemd_libraries}"
        program = str(found.systemd / "bin/systemctl")
        return self.run("env", libraries, program, "--no-pager", *arguments)

    def shown(self, key: str) -> str:
        """Give one property of the unit."""
        return self.control("show", "--value", f"--property={key}", NAME).strip()

    def wait_for(self, key: str, value: str) -> None:
        """Wait until a property of the unit has a value."""
        try:
            wait_until(f"{key}={value}", lambda: self.shown(key) == value, 60.0)
        except AssertionError as error:
            error.add_note(self.control("show", NAME) + self.log())
            raise

    def log(self) -> str:
        """Give what the daemon has written to standard error."""
        path = self.root / "run/log"
        return path.read_text() if path.exists() else ""


@contextmanager
def booted(config: str) -> Iterator[System]:
    """Start a system with the unit and this configuration, and end all of it after the block."""
    found = parts.find_all()
    hierarchy = ROOT if (ROOT / "cgroup.procs").exists() else ROOT / "unified"
    cgroup = Cgroup(f"/cvmfs-sn-systemd-{os.getpid()}")
    with tempfile.TemporaryDirectory() as units:
        _write(Path(units))
        directory = hierarchy / cgroup.path.removeprefix("/")
        directory.mkdir()
        process = subprocess.Popen(
            [SCRIPT, directory, found.systemd / "lib/systemd/systemd", found.systemd_libraries],
            cwd=units,
            stdin=subprocess.DEVNULL,
        )
        try:
            system = System(wait_until("systemd", lambda: _child(process)))
            wait_until("its socket", (system.root / "run/systemd/private").exists)
            # The daemon may have failed for the want of it, and be started again.
            (system.root / CONFIG[1:]).write_text(config)
            system.wait_for("ActiveState", "active")
            yield system
        finally:
            cgroup.kill()
            process.wait(30.0)
            cgroup.remove()


def _write(units: Path) -> None:
    text = unit.UNIT.read_text()
    for before, after in (
        ("/usr/bin/cvmfs-snapshotter", str(PROGRAM)),
        ("/etc/cvmfs-snapshotter/config.toml", CONFIG),
    ):
        text = text.replace(before, after)
    (units / NAME).write_text(text)
    more = units / f"{NAME}.d"
    more.mkdir()
    (more / "tests.conf").write_text(DROP_IN)


def _child(process: "subprocess.Popen[bytes]") -> int:
    """Give the process 1 once it is systemd; 0 before."""
    if process.poll() is not None:
        raise RuntimeError("systemd was not started")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
            return int(child)
    return 0
