"""Start, watch and end the programs of one base directory, and find what they left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import attrs

T = TypeVar("T")

POLL = 0.02
"""Seconds between two looks at something that is waited for."""


class WaitError(AssertionError):
    """What was waited for did not happen in time."""


def wait_until(what: str, look: Callable[[], T], seconds: float = 30.0) -> T:
    """Call `look` until it returns something true, and return that.

    Args:
        what: What is waited for, for the error's message.

    Raises:
        WaitError: It was not true after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise WaitError(f"{what}: not within {seconds} s")
        time.sleep(POLL)


@attrs.define
class Program:
    """A program running in the background, its output in a file.

    Attributes:
        log: File with the program's standard output and error; a later start appends to it.
    """

    name: str
    command: Sequence[str | os.PathLike[str]]
    log: Path
    environment: Mapping[str, str]
    directory: Path
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the program, in a session of its own: a Ctrl-C is ours, not the program's."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=self.directory,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        """Identifier of the process.

        Raises:
            RuntimeError: It is not running.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait_ready(self, ready: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until `ready` is true.

        Raises:
            RuntimeError: The program ended instead; the message has the end of its log.
            WaitError: Neither happened in time.
        """

        def look() -> bool:
            if not self.running:
                raise RuntimeError(f"{self.name} ended at its start:\n{self.log_tail()}")
            return ready()

        try:
            wait_until(f"{self.name} is ready", look, seconds)
        except WaitError as error:
            error.add_note(self.log_tail())
            raise

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the program is running."""
        if self._process is not None:
            self._process.send_signal(number)

    def terminate(self, seconds: float = 20.0) -> int | None:
        """Ask the program to end, and kill it when it has not after so many seconds.

        Returns:
            Its exit status, negative for a signal; None when it was not running.
        """
        return self._end(signal.SIGTERM, seconds)

    def kill(self) -> int | None:
        """Kill the program and wait for its end; returns what `terminate` does."""
        return self._end(signal.SIGKILL, 20.0)

    def log_tail(self, lines: int = 40) -> str:
        """Tell the last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _end(self, number: signal.Signals, seconds: float) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(number)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(20.0)


def processes() -> Iterator[tuple[int, list[str]]]:
    """Tell the identifier and the command line of each process of the machine."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            yield int(entry.name), [os.fsdecode(each) for each in line.split(b"\0")[:-1]]


def kill_and_wait(pids: Sequence[int], seconds: float = 20.0) -> None:
    """Kill these processes, which need not be our children, and wait until they are gone.

    Raises:
        WaitError: One is still there after so many seconds.
    """
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(f"processes {pids} are gone", lambda: not any(map(is_alive, pids)), seconds)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and was not collected does not."""
    try:
        # "pid (name) S ...": a zombie has ended, whoever is to collect it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
