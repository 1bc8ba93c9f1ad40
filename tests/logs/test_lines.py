import fcntl
import os
import struct
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.logs.lines import LineWriter

LONG = "x" * 1000
PIPE_BYTES = 1 << 16


def _notice(count: int) -> str:
    return f"dropped {count}"


class Pipe:
    """A log whose reader reads when a test tells it to."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read_until(self, last: str) -> list[str]:
        """Give all lines up to one that is expected."""
        data = b""
        while not data.endswith(f"{last}\n".encode()):
            data += os.read(self.reader, 1 << 16)
        return data.decode().splitlines()

    def close_reader(self) -> None:
        """Let nobody read any more."""
        os.close(self.reader)
        self.reader = -1

    def is_full(self) -> bool:
        """Tell whether it takes no more."""
        waiting = fcntl.ioctl(self.reader, termios.FIONREAD, struct.pack("i", 0))
        return bool(struct.unpack("i", waiting)[0] >= PIPE_BYTES)

    def close(self) -> None:
        """End both sides, and with them a write that waits."""
        if self.reader >= 0:
            self.close_reader()
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Give a log that nobody reads yet; it closes after the test."""
    made = Pipe()
    yield made
    made.close()


def _held_up(pipe: Pipe, capacity: int) -> LineWriter:
    """Make a writer whose thread waits for the reader, with an empty queue."""
    writer = LineWriter(pipe.writer, _notice, capacity=capacity)
    writer.write("x" * (2 * PIPE_BYTES))
    while not pipe.is_full():
        time.sleep(0.001)
    return writer


def test_order(tmp_path: Path) -> None:
    """Lines of one thread come in order, each with its newline."""
    with (tmp_path / "log").open("wb", buffering=0) as log:
        writer = LineWriter(log.fileno(), _notice)
        for number in range(1000):
            writer.write(str(number))
        assert writer.flush(10.0)

    written = (tmp_path / "log").read_text()
    assert [str(number) for number in range(1000)] == written.splitlines()
    assert written.endswith("999\n")


def test_whole_lines(tmp_path: Path) -> None:
    """Lines of many threads do not mix."""
    with (tmp_path / "log").open("wb", buffering=0) as log:
        writer = LineWriter(log.fileno(), _notice)

        def talk(letter: str) -> None:
            for _ in range(200):
                writer.write(letter * 80)

        threads = [threading.Thread(target=talk, args=(letter,)) for letter in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert writer.flush(10.0)

    lines = (tmp_path / "log").read_text().splitlines()
    assert sorted(letter * 80 for letter in "abcd" for _ in range(200)) == sorted(lines)


def test_nobody_waits(pipe: Pipe) -> None:
    """Whoever writes a line does not wait for a reader that has stopped."""
    writer = _held_up(pipe, capacity=5)
    for _ in range(5000):
        writer.write(LONG)

    assert not writer.flush(0.05)
    pipe.close_reader()
    assert writer.flush(10.0)


def test_dropped_lines_are_counted(pipe: Pipe) -> None:
    """Lines beyond the capacity are dropped, and their number is told once there is room."""
    writer = _held_up(pipe, capacity=5)
    for number in range(12):
        writer.write(str(number))

    lines = pipe.read_until("dropped 7")
    assert ["0", "1", "2", "3", "4", "dropped 7"] == lines[1:]
    writer.write("afterwards")
    assert ["afterwards"] == pipe.read_until("afterwards")


def test_reader_gone(pipe: Pipe) -> None:
    """Lines that nobody can read any more are lost without an error, and the thread goes on."""
    writer = LineWriter(pipe.writer, _notice)
    pipe.close_reader()
    writer.write("a")
    assert writer.flush(10.0)
    writer.write("b")

    assert writer.flush(10.0)


def test_no_text(tmp_path: Path) -> None:
    """A line that is no valid text (a file name with any bytes) is written, escaped."""
    with (tmp_path / "log").open("wb", buffering=0) as log:
        writer = LineWriter(log.fileno(), _notice)
        writer.write("a\udcffb")
        assert writer.flush(10.0)

    assert "a\\udcffb\n" == (tmp_path / "log").read_text()
