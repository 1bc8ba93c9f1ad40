"""How every command ends, whatever becomes of its output."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast

from .failing import fail

NOBODY_READS = 141
"""Exit status of a command whose output nobody reads any more: a shell shows the same for other
programs, which SIGPIPE (13) ends."""


def ended(run: Callable[[], int]) -> int:
    """Run a command, and make sure that what it printed is out.

    Characters that the encoding of standard output lacks are escaped.

    Args:
        run: runs it and gives its exit status.

    Returns:
        That status; another one if the output cannot be written, or its reader has gone, such as
        ``head``.

    Raises:
        SystemExit: the command raised it.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _watched():
            return run()
    except _OutputError as error:
        # What is left in the buffers would raise once more when the interpreter ends.
        for stream in (sys.stdout, sys.stderr):
            _give_up_unless_written(stream)
        if error.cause.errno == errno.EPIPE:
            return NOBODY_READS
        return fail(f"the output cannot be written: {error.cause.strerror}", 1)


def stop_watching() -> None:
    """Give the streams back, for the rest of a command that has threads.

    Libraries write warnings to standard error, and expect of it nothing but an ``OSError``.
    """
    sys.stdout, sys.stderr = (
        stream.plain if isinstance(stream, _Output) else stream
        for stream in (sys.stdout, sys.stderr)
    )


class _OutputError(Exception):
    """Writing the output failed. It is no ``OSError``, which a command might take for its own."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause)
        self.cause = cause


class _Output:
    """A stream, whose failures can be told from all others."""

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner

    @property
    def plain(self) -> TextIO:
        """The stream itself."""
        return self._inner

    def write(self, text: str) -> int:
        with _told():
            return self._inner.write(text)

    def flush(self) -> None:
        with _told():
            self._inner.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _OutputError(error) from error


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    before = sys.stdout, sys.stderr
    # Where there is no such stream, Python has None, and print does nothing.
    sys.stdout, sys.stderr = (
        stream and cast("TextIO", _Output(cast("TextIO", stream))) for stream in before
    )
    try:
        try:
            yield
        except SystemExit:
            # A parser has printed its help, and ends the command.
            _flush()
            raise
        except BaseException:
            # A defect says more than what becomes of the output.
            with contextlib.suppress(_OutputError):
                _flush()
            raise
        _flush()
    finally:
        sys.stdout, sys.stderr = before


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _give_up_unless_written(stream: TextIO | None) -> None:
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
