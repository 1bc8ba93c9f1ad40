"""The load generator: how it is built, and one run of it.

It is a Go program (``bench/client/``), because a client in Python costs as much as the servers.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import attrs

from tests.harness.parts import ROOT

SOURCES = Path(__file__).parent / "client"


@attrs.frozen
class Measured:
    """What one run of the client saw; all times in microseconds.

    Attributes:
        operations: How many ended in the time measured.
        seconds: That time.
        p50: Median latency of an operation.
        p99: 99th percentile of it.
        first: Median time to the first message of a stream; 0 for what is none.
        server_cpu: Processor time of the server's process for each operation, all threads.
        helper_cpu: The same of its helper processes.
        client_cpu: The same of the client itself.
    """

    operations: int
    seconds: float
    p50: float
    p99: float
    first: float
    server_cpu: float
    helper_cpu: float
    client_cpu: float


@cache
def program() -> Path:
    """Build the client, if it has not been built from these sources; gives its path.

    Raises:
        subprocess.CalledProcessError: Go or its libraries could not be had, or it did not build.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cvmfs-snapshotter"
    sources = sorted(SOURCES.glob("*.go"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    built = home / "bench" / f"client-{digest[:16]}"
    if built.exists():
        return built
    subprocess.run([ROOT / "script" / "parts", "bench"], check=True)
    go = home / "parts" / "go-1.19" / "usr"
    goroot = go / "lib/go-1.19"
    environment = os.environ | {
        "GOROOT": str(goroot),
        "GOPATH": str(go / "share/gocode"),
        "GOCACHE": str(home / "bench/cache"),
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    partial = built.with_suffix(".part")
    command = [f"{goroot}/bin/go", "build", "-o", str(partial), "."]
    subprocess.run(command, cwd=SOURCES, env=environment, check=True)
    partial.rename(built)
    return built


def run(
    socket: Path, operation: str, *, server: int, helpers: Sequence[int] = (), **options: object
) -> Measured:
    """Measure one operation on one server.

    Args:
        socket: The server's.
        operation: One that the client knows.
        server: Identifier of the server's process.
        helpers: Identifiers of its helpers.
        options: Further flags of the client by name.

    Raises:
        RuntimeError: A call was answered with an error; the message says which.
    """
    joined = ",".join(map(str, helpers))
    output = _call(socket, operation, options | {"server": server, "helpers": joined})
    return Measured(**json.loads(output))


def fill(socket: Path, operation: str, count: int, **options: object) -> None:
    """Do so many operations and leave what they make.

    Args:
        socket: The server's.
        operation: One that the client knows.
        count: How many.
        options: Further flags of the client by name.

    Raises:
        RuntimeError: A call was answered with an error; the message says which.
    """
    _call(socket, operation, options | {"count": count})


def _call(socket: Path, operation: str, options: dict[str, object]) -> str:
    command = [str(program()), "-socket", str(socket), "-operation", operation]
    for name, value in options.items():
        command += [f"-{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{operation} at {socket}: {done.stderr.strip()}")
    return done.stdout
