"""A directory that stands for a node: it has busybox, a systemctl and a containerd of ours.

Commands run in it by chroot, so that what they do not bring themselves is not there.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import attrs

from tests.harness import parts
from tests.harness.parts import ROOT

NODE = ROOT / "deploy" / "kubernetes" / "node"

UNIT = "cvmfs-snapshotter.service"

# Notes what it is asked, and starts or ends the daemon as the unit says. /failing has what fails.
SYSTEMCTL = f"""#!/bin/sh
echo "$*" >>/calls
while :; do case $1 in --*) shift ;; *) break ;; esac; done
verb=$1
for unit in "$@"; do :; done
if [ "$unit" = --now ]; then unit=; fi
grep -qx "$verb $unit" /failing 2>/dev/null && exit 1
running() {{ [ -f "/pids/$unit" ] && kill -0 "$(cat "/pids/$unit")" 2>/dev/null; }}
stop() {{
    running || return 0
    kill "$(cat "/pids/$unit")"
    while running; do sleep 0.1; done
}}
case $verb in
    is-active) running ;;
    restart)
        [ "$unit" = {UNIT} ] || exit 0
        stop
        setsid $(sed -n 's/^ExecStart=//p' "/etc/systemd/system/$unit") >>/log 2>&1 &
        echo $! >"/pids/$unit"
        while running && [ ! -S /run/containerd-cvmfs-grpc/containerd-cvmfs-grpc.sock ]; do
            sleep 0.1
        done
        running
        ;;
    disable) [ -e "/etc/systemd/system/$unit" ] && stop ;;
    stop) stop ;;
    show) echo "ExecStart={{ path=/opt/cvmfs-snapshotter/current/bin/cvmfs-snapshotter ; }}" ;;
esac
"""

# The real one has its own tests with containerd-setup.
CONTAINERD = """#!/bin/sh
[ "$1" = --version ] && { echo containerd github.com/containerd/containerd VERSION; exit; }
cat "$2"
"""

# Enters this node instead of process 1 of the machine.
NSENTER = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
exec chroot "$HOST" "$@"
"""


@attrs.frozen
class Host:
    """The node.

    Attributes:
        path: its root directory.
        image: what the pod's image has in /opt/cvmfs-snapshotter.
    """

    path: Path
    image: Path

    @classmethod
    def make(cls, directory: Path, image: Path) -> "Host":
        """Make a node with containerd 1.7, which has no configuration yet."""
        host = cls(directory / "host", image)
        for name in ("bin", "dev", "proc", "pids", "run", "tmp", "usr/bin", "usr/local/bin"):
            (host.path / name).mkdir(parents=True)
        for name in ("etc/containerd", "etc/systemd/system", "opt", "source", "var/lib"):
            (host.path / name).mkdir(parents=True)
        shutil.copy(parts.find().busybox, host.path / "bin/busybox")
        for name in ("sh", "env", "cat", "sed", "grep", "sleep", "kill", "setsid"):
            (host.path / "bin" / name).symlink_to("busybox")
        host.program("usr/bin/systemctl", SYSTEMCTL)
        host.program("usr/bin/containerd", CONTAINERD.replace("VERSION", "v1.7.24"))
        (directory / "bin").mkdir()
        (directory / "settings.toml").write_text(
            '[[source]]\nname = "tree"\nkind = "directory"\npath = "/source"\n'
        )
        nsenter = directory / "bin/nsenter"
        nsenter.write_text(NSENTER)
        nsenter.chmod(0o755)
        return host

    def program(self, name: str, text: str) -> None:
        """Put a program there."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run_unit(self, unit: str) -> None:
        """Have a unit that runs, which nobody can tell from another process."""
        (self.path / "pids" / unit).write_text(str(os.getpid()))

    @property
    def calls(self) -> list[str]:
        """What systemctl was asked so far."""
        path = self.path / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def settings(self) -> Path:
        """The file of the pod's ConfigMap."""
        return self.path.parent / "settings.toml"

    def node(self, verb: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the script of the pod.

        Args:
            verb: its argument.
            more: variables of its environment.
        """
        with self.begin(verb, **more) as begun:
            try:
                out, errors = begun.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                begun.kill()
                raise
        return subprocess.CompletedProcess(begun.args, begun.returncode, out, errors)

    def begin(self, verb: str, **more: str) -> subprocess.Popen[str]:
        """Start the script of the pod, with the arguments of `node`."""
        directory = self.path.parent
        environment = {
            "PATH": f"{directory}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOST": str(self.path),
            "IMAGE": str(self.image),
            "SETTINGS": str(self.settings),
            "READY": str(directory / "ready"),
            "STAY": "no",
            **more,
        }
        mounts = 'mount -t proc proc "$HOST/proc" && mount --bind /dev "$HOST/dev" && exec "$@"'
        command = ("unshare", "--mount", "sh", "-c", mounts, "sh", str(NODE), verb)
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def stop(self) -> None:
        """End the daemon."""
        pid = self.path / "pids" / UNIT
        if pid.exists():
            try:
                os.killpg(int(pid.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                return
