"""The servers that are measured: ours, its peer, and those that do nothing."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import attrs

from tests.harness import parts
from tests.harness.daemon import PROGRAM
from tests.harness.leftovers import of_base
from tests.harness.parts import ROOT
from tests.harness.processes import Program, kill_and_wait, wait_until

OURS: Final = "cvmfs-snapshotter"
PEER: Final = "containerd 1.6.20 overlayfs"
FLOOR: Final = "empty handler"
SERVED_ALIKE: Final = "empty handler, served as ours"

_SOURCE = """\
[[source]]
name = "bench"
kind = "directory"
path = "{path}"
"""

_CONTAINERD = """\
version = 2
root = "{directory}/root"
state = "{directory}/state"
imports = []
# All that a snapshot service does not need.
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.restart",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.monitor.v1.cgroups",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.native",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{directory}/socket"
[ttrpc]
  address = "{directory}/socket.ttrpc"
"""


@attrs.define
class Server:
    """A server with a directory of its own; its socket is in there.

    Attributes:
        name: Who it is in the report.
        directory: Everything of it.
    """

    name: str
    directory: Path
    _program: Program

    @classmethod
    def ours(cls, directory: Path, layers: Path) -> Self:
        """Make our daemon, as it comes, with one source.

        Args:
            directory: Made if it is not there; its path has to be short.
            layers: Root of the tree with unpacked layers.
        """
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / "config.toml"
        config.write_text(_SOURCE.format(path=layers))
        command = (
            *(str(PROGRAM), "run", "--config", str(config)),
            *("--root", f"{directory}/root", "--address", f"{directory}/socket"),
        )
        return cls._make(OURS, directory, command)

    @classmethod
    def peer(cls, directory: Path) -> Self:
        """Make a containerd without the CRI; ``overlayfs`` is one of its snapshotters."""
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / "config.toml"
        config.write_text(_CONTAINERD.format(directory=directory))
        program = parts.find().containerd / "containerd"
        return cls._make(PEER, directory, (str(program), "--config", str(config)))

    @classmethod
    def floor(cls, directory: Path) -> Self:
        """Make the server of grpcio's whose handlers do nothing."""
        return cls._empty(FLOOR, directory, "grpcio")

    @classmethod
    def served_alike(cls, directory: Path) -> Self:
        """Make a server whose handlers do nothing, but which serves as ours does."""
        return cls._empty(SERVED_ALIKE, directory, "ours")

    @classmethod
    def _empty(cls, name: str, directory: Path, who: str) -> Self:
        directory.mkdir(parents=True, exist_ok=True)
        command = (sys.executable, "-m", "bench.floor", f"{directory}/socket", who)
        return cls._make(name, directory, command)

    @classmethod
    def _make(cls, name: str, directory: Path, command: tuple[str, ...]) -> Self:
        environment = {"PATH": os.environ["PATH"]}
        log = directory / "log"
        return cls(name, directory, Program(name, command, log, environment, ROOT))

    @property
    def socket(self) -> Path:
        """Where it answers."""
        return self.directory / "socket"

    @property
    def pid(self) -> int:
        """Identifier of its process."""
        return self._program.pid

    @property
    def helpers(self) -> list[int]:
        """Identifiers of the processes that it has started."""
        children: set[int] = set()
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            children |= set(map(int, (task / "children").read_text().split()))
        return sorted(children)

    @property
    def rss(self) -> float:
        """Resident memory of its process, MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def log_tail(self) -> str:
        """Tell the last lines that it has logged, and whether it is still running."""
        state = "is running" if self._program.running else "has ended"
        return f"{self.name} {state}; its log ends with\n{self._program.log_tail(10)}"

    def start(self) -> Self:
        """Start it and wait until it listens."""
        self.spawn()
        self._program.wait_ready(self.socket.is_socket)
        return self

    def spawn(self) -> None:
        """Start it."""
        self._program.start()

    def stop(self) -> None:
        """End it with all processes that it started."""
        self._program.terminate()
        kill_and_wait([pid for pid, _ in of_base(self.directory)])
        self.socket.unlink(missing_ok=True)


@contextmanager
def running(*servers: Server) -> Iterator[tuple[Server, ...]]:
    """Run servers for the time of the block."""
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.stop()


def wait_until_at_rest(server: Server) -> None:
    """Wait until a server uses no processor time worth mentioning any more.

    Raises:
        WaitError: It is still busy after two minutes.
    """
    before = _ticks(server.pid)

    def at_rest() -> bool:
        nonlocal before
        time.sleep(_LOOK_SECONDS)
        now = _ticks(server.pid)
        used, before = now - before, now
        return used <= _RESTING_TICKS

    wait_until(f"{server.name} is at rest", at_rest, 120.0)


_LOOK_SECONDS = 0.5
_RESTING_TICKS = 2


def _ticks(pid: int) -> int:
    # utime and stime (proc(5)), in hundredths of a second.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
