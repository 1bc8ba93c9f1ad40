"""One worker process, and the conversation with it.

Both sides write one JSON object a line. A request is the caller's object with a number as ``id``;
the worker says, under the same number, any number of ``progress`` and at last one ``answer``::

    {"id": 7, "do": "scan", ...}
    {"id": 7, "progress": {"entries": 5000}}
    {"id": 7, "answer": {"entries": 7312, ...}}

A worker ends when its standard input does. So it is gone soon after the daemon is, however that
ended. A death signal (PR_SET_PDEATHSIG) would not do: it comes when the *thread* that started the
process ends.

A short request may say its progress elsewhere: at the beginning of standard error, which is a file
in memory, as ``{"id": 7, "progress": {"at": 2}}`` and a newline, the latest in place of the one
before. That wakes nobody, and is read when there is no answer.
"""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

Message = Mapping[str, object]
"""What a JSON object becomes."""

MESSAGE_BYTES = 1 << 26
"""Longest line that a worker may say: the names of the largest layer that is scanned."""

_PIECE = 1 << 16
_SIGN_BYTES = 1024


class WorkerError(Exception):
    """The worker has ended, or said something that is no message."""


def worker_command(module: str) -> list[str]:
    """Give the command that runs a module as a worker.

    Args:
        module: full name; it imports nothing but the standard library, so that it starts quickly.

    Returns:
        The command: this interpreter, isolated from environment variables and from the current
        directory (``-I``), which in a daemon that runs as root nobody may use to bring in code.
    """
    return [sys.executable, "-I", "-m", module]


class Worker:
    """A process that answers one request at a time.

    Only one thread at a time may talk to it; ``kill`` may be called by any thread.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start the process.

        Args:
            command: program and arguments.

        Raises:
            OSError: it cannot be started.
        """
        self._signs = os.fdopen(os.memfd_create("signs"), "rb", buffering=0)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._signs,
                bufsize=0,
                cwd="/",
                # No lock, socket or database may be open in a process that outlives a killed
                # daemon.
                close_fds=True,
                # A signal from a terminal is meant for the daemon, which ends its workers itself.
                start_new_session=True,
            )
        except BaseException:
            self._signs.close()
            raise
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both are pipes")
        self._to, self._from = self._process.stdin, self._process.stdout
        os.set_blocking(self._to.fileno(), False)
        os.set_blocking(self._from.fileno(), False)
        self._heard = bytearray()
        self._number = 0

    @property
    def gone(self) -> bool:
        """Whether the process has ended; if so, it is reaped."""
        return self._process.poll() is not None

    def converse(
        self, request: Message, until: Callable[[], float], progress: Callable[[Message], None]
    ) -> Message:
        """Put a request and wait for the answer.

        After any error the worker is of no further use.

        Args:
            request: what to do.
            until: gives the moment to wait until, in seconds of ``time.monotonic``; asked anew
                after each sign of progress.
            progress: called with each sign of progress.

        Returns:
            The answer.

        Raises:
            TimeoutError: the moment has come.
            WorkerError: the worker ended, or said something that is no message.
        """
        self._number += 1
        limit = until()
        self._say(json.dumps({**request, "id": self._number}).encode() + b"\n", limit)
        while True:
            message = self._hear(limit)
            answer, sign = message.get("answer"), message.get("progress")
            if message.get("id") != self._number:
                raise WorkerError("it answers another request")
            if isinstance(answer, dict):
                return answer
            if not isinstance(sign, dict):
                raise WorkerError("it says neither answer nor progress")
            progress(sign)
            limit = until()

    def last_sign(self) -> Message:
        """Give the latest sign of progress in standard error; empty if there is none.

        Of the request that was put last; what another one has left there does not count.
        """
        line = os.pread(self._signs.fileno(), _SIGN_BYTES, 0).partition(b"\n")[0]
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return {}
        if not isinstance(message, dict) or message.get("id") != self._number:
            return {}
        sign = message.get("progress")
        return sign if isinstance(sign, dict) else {}

    def kill(self) -> None:
        """Send SIGKILL and do not wait: it may be in an uninterruptible sleep."""
        self._process.kill()

    def close(self) -> None:
        """Close our ends of the pipes; only the thread that has the worker may do that."""
        self._to.close()
        self._from.close()
        self._signs.close()

    def _say(self, line: bytes, until: float) -> None:
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self._to.fileno(), rest) :]
            except BlockingIOError:
                _wait(self._to.fileno(), select.POLLOUT, until)
            except OSError as error:
                raise WorkerError("it has ended") from error

    def _hear(self, until: float) -> Message:
        searched = 0
        while (end := self._heard.find(b"\n", searched)) < 0:
            searched = len(self._heard)
            if searched >= MESSAGE_BYTES:
                raise WorkerError("its message has no end")
            _wait(self._from.fileno(), select.POLLIN, until)
            try:
                heard = os.read(self._from.fileno(), _PIECE)
            except BlockingIOError:
                continue
            if not heard:
                raise WorkerError("it has ended")
            self._heard += heard
        line = bytes(self._heard[:end])
        del self._heard[: end + 1]
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise WorkerError("it does not say JSON objects")
        return message


def _wait(descriptor: int, event: int, until: float) -> None:
    """Wait until a descriptor is ready; raise TimeoutError at ``until``."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    poll = select.poll()
    poll.register(descriptor, event)
    # Up, never down to 0: that would turn the last millisecond into a busy loop.
    poll.poll(int(left * 1000) + 1)
