import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cvmfs_snapshotter.adapters.logs.logger import (
    MAX_TEXT,
    MAX_TRACEBACK,
    Log,
    Logger,
    adopt_libraries,
    open_log,
)

Say = Callable[[Callable[[Logger], object]], str]


def _written(path: Path, say: Callable[[Logger], object], level: int = logging.DEBUG) -> str:
    """Give what a log file holds after something was said."""
    with path.open("w") as stream:
        log = open_log(level, stream)
        say(log.logger)
        assert log.lines.flush(10.0)
    return path.read_text()


def _fields(path: Path, say: Callable[[Logger], object]) -> dict[str, Any]:
    """Give the fields of the one line that was said."""
    (line,) = _written(path, say).splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a log."""
    return tmp_path / "log"


@pytest.fixture
def terminal() -> Iterator[Callable[[Callable[[Logger], object]], str]]:
    """Give a way to say something to a terminal and read what it shows."""
    master, slave = os.openpty()

    def shown(say: Callable[[Logger], object]) -> str:
        with os.fdopen(slave, "w") as stream:
            log = open_log(logging.DEBUG, stream)
            say(log.logger)
            assert log.lines.flush(10.0)
            return os.read(master, 1 << 16).decode().replace("\r\n", "\n")

    yield shown
    os.close(master)


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """Give Python's own root logger, and put it back as it was."""
    logger = logging.getLogger()
    before = logger.handlers[:], logger.level
    for handler in before[0]:
        logger.removeHandler(handler)
    yield logger
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
    for handler in before[0]:
        logger.addHandler(handler)
    logger.setLevel(before[1])


def _raise() -> None:
    raise ValueError("of a test")


def _fail(logger: Logger) -> None:
    """Log an exception with its traceback."""
    try:
        _raise()
    except ValueError:
        logger.exception("it failed")


def test_first_fields(path: Path) -> None:
    """A line is a JSON object that begins with time, level and message."""
    fields = _fields(path, lambda logger: logger.info("hello", b=1, a="x"))

    assert ["time", "level", "msg", "b", "a"] == list(fields)
    assert ("info", "hello", 1, "x") == (
        fields["level"],
        fields["msg"],
        fields["b"],
        fields["a"],
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", fields["time"])


def test_no_spaces(path: Path) -> None:
    """There is no space between key and value, so that scripts can grep for a pair."""
    line = _written(path, lambda logger: logger.info("a", **{"remote-snapshot-prepared": "true"}))

    assert '"remote-snapshot-prepared":"true"' in line


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("debug", "debug"),
        ("info", "info"),
        ("warning", "warning"),
        ("error", "error"),
        ("critical", "fatal"),
    ],
)
def test_levels(path: Path, method: str, level: str) -> None:
    """Levels have the names of logrus."""
    assert level == _fields(path, lambda logger: getattr(logger, method)("a"))["level"]


def test_threshold(path: Path) -> None:
    """Lines below the threshold are not written."""

    def say(logger: Logger) -> None:
        logger.debug("a")
        logger.info("b")
        logger.warning("c")
        logger.error("d")

    lines = _written(path, say, logging.WARNING).splitlines()
    assert ["c", "d"] == [json.loads(line)["msg"] for line in lines]


def test_control_characters(path: Path) -> None:
    """No text can begin another line or send anything to a terminal that shows the log."""
    text = "a\nb\r\x1b[2J\x00\u2028\x85\x7f\u202e"
    written = _written(path, lambda logger: logger.info(text, field=text))

    assert 1 == written.count("\n")
    assert written.rstrip("\n").isprintable()
    assert (text, text) == (json.loads(written)["msg"], json.loads(written)["field"])


def test_other_values(path: Path) -> None:
    """A value that JSON does not know is shown as Python shows it."""
    fields = _fields(path, lambda logger: logger.info("a", path=Path("/x"), kind=ValueError))

    assert ("PosixPath('/x')", "<class 'ValueError'>") == (fields["path"], fields["kind"])


@pytest.mark.parametrize("length", [MAX_TEXT, MAX_TEXT + 1, 1_000_000])
def test_long_text(path: Path, length: int) -> None:
    """A long text keeps its beginning and end, and says how much is missing."""
    text = "b" + "x" * (length - 2) + "e"
    fields = _fields(path, lambda logger: logger.info("a", field=text, other="y"))

    if length == MAX_TEXT:
        assert text == fields["field"]
    else:
        assert MAX_TEXT + 40 > len(fields["field"])
        assert fields["field"].startswith("bx")
        assert fields["field"].endswith("xe")
        assert f"[{length - MAX_TEXT} characters]" in fields["field"]
    assert "y" == fields["other"]


def test_long_message(path: Path) -> None:
    """The message itself is bounded too."""
    fields = _fields(path, lambda logger: logger.info("m" * 100_000))

    assert MAX_TEXT + 40 > len(fields["msg"])


def test_traceback(path: Path) -> None:
    """The traceback of an exception stands in a field of its own."""
    fields = _fields(path, _fail)

    assert "it failed" == fields["msg"]
    assert fields["exception"].startswith("Traceback")
    assert fields["exception"].endswith("ValueError: of a test")


def test_long_traceback(path: Path) -> None:
    """A traceback is bounded, further out than other texts, and keeps its end."""

    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        raise ValueError("y" * MAX_TRACEBACK * 2 + "end")

    def say(logger: Logger) -> None:
        try:
            deep(10)
        except ValueError:
            logger.exception("it failed")

    exception = _fields(path, say)["exception"]
    assert MAX_TEXT < len(exception) < MAX_TRACEBACK + 40
    assert exception.endswith("yend")


def test_terminal(terminal: Say) -> None:
    """On a terminal a line is for the eye: no JSON, values in quotes only if they need them."""
    text = terminal(lambda logger: logger.warning("hello there", a=1, b="two words", c="x", d=""))

    assert re.fullmatch(r'\S+Z warning hello there a=1 b="two words" c=x d=""\n', text)


def test_terminal_control_characters(terminal: Say) -> None:
    """On a terminal no text can move the cursor or begin a line."""
    text = terminal(lambda logger: logger.info("a\x1b[2J\x9b\u202e", field="b\x1b\n\u202e"))

    assert text.endswith("\n")
    assert text.rstrip("\n").isprintable()
    assert "a\\x1b[2J\\x9b\\u202e" in text


def test_terminal_message_is_one_line(terminal: Say) -> None:
    """On a terminal a message with newlines cannot pass for several."""
    text = terminal(lambda logger: logger.info("a\n2000-01-01T00:00:00Z error forged"))

    assert 1 == text.count("\n")


def test_terminal_traceback(terminal: Say) -> None:
    """On a terminal a traceback comes below its line, indented, so that it cannot pass for one."""
    first, second, *_, last = terminal(_fail).splitlines()

    assert first.endswith("it failed")
    assert "    Traceback (most recent call last):" == second
    assert "    ValueError: of a test" == last


def test_libraries(path: Path, root_logger: logging.Logger) -> None:
    """Warnings of libraries come as lines with the library's name, what is less important not."""

    def say(logger: Logger) -> None:
        adopt_libraries(logger)
        logging.getLogger("grpc._server").warning("odd: %s", "it")
        logging.getLogger("grpc._server").info("not this")

    fields = _fields(path, say)
    assert ("warning", "odd: it", "grpc._server") == (
        fields["level"],
        fields["msg"],
        fields["library"],
    )


def test_library_exception(path: Path, root_logger: logging.Logger) -> None:
    """The exception that a library logs keeps its traceback."""

    def say(logger: Logger) -> None:
        adopt_libraries(logger)
        try:
            _raise()
        except ValueError:
            logging.getLogger("library").exception("it failed")

    fields = _fields(path, say)
    assert ("error", "it failed") == (fields["level"], fields["msg"])
    assert "ValueError: of a test" in fields["exception"]


@pytest.mark.parametrize(
    ("level", "expected"), [(35, "warning"), (45, "error"), (60, "fatal"), (1, "debug")]
)
def test_library_with_levels_of_its_own(
    path: Path, root_logger: logging.Logger, level: int, expected: str
) -> None:
    """A level that only a library has counts as the one below it."""

    def say(logger: Logger) -> None:
        adopt_libraries(logger)
        root_logger.setLevel(1)
        logging.getLogger("library").log(level, "odd")

    fields = _fields(path, say)
    assert (expected, "odd") == (fields["level"], fields["msg"])


def test_library_line_with_a_defect(path: Path, root_logger: logging.Logger) -> None:
    """A library whose line cannot be made goes on, and the log says so."""

    def say(logger: Logger) -> None:
        adopt_libraries(logger)
        logging.getLogger("library").warning("%d lines", "no number")

    fields = _fields(path, say)
    assert ("a line could not be logged", "library") == (fields["msg"], fields["library"])


def test_dropped(path: Path) -> None:
    """The line about dropped lines looks like every other one."""
    with path.open("w") as stream:
        log = open_log(logging.INFO, stream)
        fields = json.loads(log.lines._notice(7))

    assert ["time", "level", "msg", "count"] == list(fields)
    assert ("warning", 7) == (fields["level"], fields["count"])


def test_flush(path: Path) -> None:
    """Once the log was flushed, what was said is in the file."""
    with path.open("w") as stream:
        log: Log = open_log(logging.INFO, stream)
        log.logger.info("a")
        log.flush()

        assert "a" == json.loads(path.read_text())["msg"]


def test_the_level_changes(path: Path) -> None:
    """The level of a log can be changed at any time, also for loggers that are in use."""
    with path.open("w") as stream:
        log = open_log(logging.INFO, stream)
        bound = log.logger.bind(a=1)
        for number in (logging.INFO, logging.DEBUG, logging.ERROR):
            log.level.number = number
            for logger in (log.logger, bound):
                assert (number <= logging.DEBUG) == logger.is_enabled_for(logging.DEBUG)
                assert number == logger.get_effective_level()
                logger.debug("debug", at=number)
                logger.warning("warning", at=number)
                logger.error("error", at=number)
        assert log.lines.flush(10.0)

    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [
        (10, "debug"),
        (10, "error"),
        (10, "warning"),
        (20, "error"),
        (20, "warning"),
        (40, "error"),
    ] == sorted({(line["at"], line["msg"]) for line in found})
    assert 12 == len(found)
