"""The file system as tests use it: mounted, broken, healed, killed, and gone at the end."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from tests.harness import parts
from tests.harness.fuse.faults import Fault
from tests.harness.mounts import below, unmount_below
from tests.harness.processes import wait_until

KEPT = 60.0
"""Seconds that the kernel may answer from its caches (`CVMFS_KCACHE_TIMEOUT`, the default)."""

_ANSWER_SECONDS = 30.0


@attrs.frozen
class State:
    """What the server says of itself.

    Attributes:
        hanging: Operations that hang at this moment.
        counts: Operations that have come in since it was mounted, by the value of `Operation`.
    """

    hanging: int
    counts: Mapping[str, int]


@attrs.define
class FileSystem:
    """A mount point, and the server behind it while there is one.

    Nothing here touches what is mounted: the caller would hang with it.

    Attributes:
        directory: What it shows, laid out as `repository.Repository` does it.
        point: Where.
        repository: Name of the repository that it says it is.
        kept: Seconds that the kernel may answer from its caches.
    """

    directory: Path
    point: Path
    repository: str = "unpacked.example.org"
    kept: float = KEPT
    _server: "subprocess.Popen[bytes] | None" = None
    _errors: BinaryIO = attrs.field(factory=tempfile.TemporaryFile)

    def mount(self) -> None:
        """Start a server and wait until the kernel speaks to it.

        Raises:
            RuntimeError: It ended instead; the message has what it said.
        """
        command = (
            *(sys.executable, "-m", "tests.harness.fuse.server"),
            *(str(self.directory), str(self.point), self.repository, str(self.kept)),
        )
        environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        environment["FUSE_LIBRARY_PATH"] = str(parts.find_all().libfuse)
        self._server = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            cwd=parts.ROOT,
            start_new_session=True,
        )
        if self._hear(self._server) != {"mounted": True}:
            raise RuntimeError("the server of the file system says something else first")

    def breaks(self, *faults: Fault, **attributes: str) -> None:
        """Set what goes wrong from now on; earlier faults end.

        Args:
            faults: The first that concerns an operation decides.
            attributes: Magic attributes, without `user.`, that have another value than usual.
        """
        named = {f"user.{name}": value for name, value in attributes.items()}
        self._tell({"faults": [each.to_json() for each in faults], "attributes": named})

    def heals(self) -> None:
        """End all faults; what hangs goes on."""
        self.breaks()

    def state(self) -> State:
        """Ask the server how it is."""
        answer = self._tell({})
        return State(answer["hanging"], answer["counts"])

    def wait_hanging(self, least: int) -> None:
        """Wait until so many operations hang.

        Raises:
            WaitError: They do not.
        """
        wait_until(f"{least} operations hang", lambda: self.state().hanging >= least)

    def forget(self) -> None:
        """Let the kernel forget the names that it keeps, as the client does for a new revision.

        What is in use stays.
        """
        # Any new setting of the flags throws unused directory entries away.
        subprocess.run(["mount", "-i", "-o", "remount,ro", self.point], check=True)

    def dies(self) -> None:
        """Kill the server; the mount stays, without anybody behind it."""
        server, self._server = self._server, None
        if server is None:
            return
        server.kill()
        server.wait(20.0)
        for stream in (server.stdin, server.stdout):
            if stream is not None:
                stream.close()

    def stops(self) -> None:
        """Stop the server as a debugger does: it takes no requests in until it `continues`."""
        server = self._running()
        server.send_signal(signal.SIGSTOP)
        # A thread that has not stopped yet could still take one in.
        wait_until("the server has stopped", lambda: _all_stopped(server.pid))

    def continues(self) -> None:
        """End what `stops` began."""
        self._running().send_signal(signal.SIGCONT)

    @contextmanager
    def visited(self, *command: str | Path) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a program that uses the file system for the time of the block.

        Its output can be read; its errors go nowhere. When it has not ended at the end, the server
        is killed: nothing else ends for sure what hangs here.
        """
        visitor = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            yield visitor
        finally:
            if visitor.poll() is None:
                visitor.kill()
                self.dies()
            visitor.communicate(timeout=60)

    def unmount(self) -> None:
        """Leave an empty mount point behind, in whatever state the file system is.

        Raises:
            subprocess.CalledProcessError: The kernel refused.
        """
        # The end of the server ends every request that hangs, and so everybody who waits there.
        self.dies()
        unmount_below(self.point)

    def close(self) -> None:
        """Unmount, for good."""
        self.unmount()
        self._errors.close()

    @property
    def mounted(self) -> bool:
        """Whether something is mounted, dead or alive."""
        return self.point in below(self.point)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._server is None:
            raise RuntimeError("the file system has no server")
        return self._server

    def _tell(self, command: dict[str, object]) -> dict[str, Any]:
        server = self._running()
        if server.stdin is None:
            raise AssertionError("it is a pipe")
        server.stdin.write(json.dumps(command).encode() + b"\n")
        server.stdin.flush()
        return self._hear(server)

    def _hear(self, server: "subprocess.Popen[bytes]") -> dict[str, Any]:
        if server.stdout is None:
            raise AssertionError("it is a pipe")
        until = time.monotonic() + _ANSWER_SECONDS
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([server.stdout], [], [], max(until - time.monotonic(), 0))[0]:
                raise RuntimeError(f"the file system's server does not answer: {self._said()}")
            if not (heard := os.read(server.stdout.fileno(), 65536)):
                raise RuntimeError(f"the file system's server has ended: {self._said()}")
            line += heard
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")


def _all_stopped(pid: int) -> bool:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    # "pid (name) T ...": stopped by a signal (proc(5)).
    states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks]
    return set(states) == {"T"}


@contextmanager
def file_system(
    directory: Path,
    point: Path,
    repository: str = "unpacked.example.org",
    kept: float = KEPT,
    *,
    mount: bool = True,
) -> Iterator[FileSystem]:
    """Give a file system for the time of the block.

    Args:
        directory: What it shows.
        point: Where; made when it is missing.
        repository: Name that it says.
        kept: Seconds that the kernel may answer from its caches.
        mount: Whether to mount it at once.

    Raises:
        RuntimeError: Its server does not start.
    """
    point.mkdir(parents=True, exist_ok=True)
    made = FileSystem(directory, point, repository, kept)
    try:
        if mount:
            made.mount()
        yield made
    finally:
        made.close()
