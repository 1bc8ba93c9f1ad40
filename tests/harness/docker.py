"""A private Docker: a daemon on the containerd of a node, and its client."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from tests.harness import parts
from tests.harness.node import Node
from tests.harness.processes import Program

LEFT = Path("/run/docker")
"""What the daemon makes there, whatever it is told, and leaves there empty."""


@attrs.frozen
class Docker:
    """A client of the daemon.

    Attributes:
        directory: Everything of the daemon is in here.
    """

    directory: Path
    _command: tuple[str, ...]
    _environment: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the client."""
        return subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def answers(self) -> bool:
        """Whether the daemon does."""
        return self.run("version").returncode == 0


@contextmanager
def docker(node: Node, configuration: dict[str, object]) -> Iterator[Docker]:
    """Give a client of a running daemon without networks, and end the daemon with the block.

    Args:
        node: Its containerd is used.
        configuration: What stands in `daemon.json`.
    """
    directory = node.containerd.directory / "docker"
    directory.mkdir()
    file = directory / "daemon.json"
    file.write_text(json.dumps(configuration))
    place = parts.find_all().docker
    programs = f"{place}/usr/sbin:{place}/usr/bin:{parts.find().runc.parent}"
    environment = {
        "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": ":".join(str(found) for found in place.glob("usr/lib/*-linux-gnu*")),
        "HOME": str(directory),
    }
    socket = f"unix://{directory}/docker.sock"
    there = LEFT.exists()
    daemon = Program(
        "dockerd",
        (
            *(f"{place}/usr/sbin/dockerd", "--config-file", str(file), "--host", socket),
            *("--containerd", str(node.containerd.socket), "--pidfile", f"{directory}/pid"),
            *("--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"),
            *("--cgroup-parent", node.containerd.cgroup.path, "--bridge=none"),
            *("--exec-opt", "native.cgroupdriver=cgroupfs", "--iptables=false"),
            "--ip6tables=false",
        ),
        directory / "dockerd.log",
        environment,
        directory,
    )
    client = Docker(directory, (f"{place}/usr/bin/docker", "--host", socket), environment)
    daemon.start()
    try:
        daemon.wait_ready(client.answers, 60.0)
        yield client
    finally:
        daemon.terminate()
        if not there:
            shutil.rmtree(LEFT, ignore_errors=True)
