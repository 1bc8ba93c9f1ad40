"""What a line of the log looks like."""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any, TextIO

import attrs
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from .lines import LineWriter

Logger = FilteringBoundLogger

MAX_TEXT = 1024
"""Longest text in a field, in characters: much of it comes from image authors."""

MAX_TRACEBACK = 16_384
"""Longest traceback, in characters."""

_encode = json.JSONEncoder(separators=(",", ":"), default=repr).encode
_NUMBERS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}


@attrs.define
class Level:
    """The threshold of a log, which may change at any time.

    Attributes:
        number: in the numbers of Python's ``logging``.
    """

    number: int


@attrs.frozen
class Log:
    """A logger and the way to be sure that its lines are out.

    Attributes:
        logger: takes the lines.
        lines: writes them.
        level: the lowest level whose lines are written.
    """

    logger: Logger
    lines: LineWriter
    level: Level

    def flush(self) -> None:
        """Wait a moment for lines that are still to be written."""
        self.lines.flush(seconds=2.0)


def open_log(level: int, stream: TextIO | None = None) -> Log:
    """Make the log of a process.

    Lines are JSON objects with ``time``, ``level`` and ``msg`` first; on a terminal they are for
    the eye. In both, control characters of a text are escaped.

    Args:
        level: threshold to begin with, in the numbers of Python's ``logging``.
        stream: where lines go; it has a file descriptor. Standard error if None.

    Returns:
        The log.
    """
    stream = sys.stderr if stream is None else stream
    render = _console if stream.isatty() else _json

    def notice(count: int) -> str:
        line = {"event": "log lines were dropped: nobody read them", "count": count}
        return str(render(None, "warning", _timed(None, "warning", line)))

    lines, threshold = LineWriter(stream.fileno(), notice), Level(level)
    logger: Logger = structlog.wrap_logger(
        _Sink(lines),
        processors=[
            _above(threshold),
            structlog.processors.format_exc_info,
            _timed,
            _bounded,
            render,
        ],
        wrapper_class=_adjustable(threshold),
        context_class=dict,
        cache_logger_on_first_use=True,
    ).bind()
    return Log(logger, lines, threshold)


def adopt_libraries(logger: Logger) -> None:
    """Write what libraries say through Python's ``logging``, from warnings up, to a logger.

    Args:
        logger: takes the lines.
    """
    logging.basicConfig(handlers=[_Bridge(logger)], level=logging.WARNING, force=True)


def _adjustable(threshold: Level) -> type[FilteringBoundLogger]:
    """Make a logger that asks for the threshold; structlog's own has one for ever."""
    everything = structlog.make_filtering_bound_logger(logging.DEBUG)
    return type(
        "AdjustableLogger",
        (everything,),
        {
            "get_effective_level": lambda _: threshold.number,
            "is_enabled_for": lambda _, number: number >= threshold.number,
        },
    )


def _above(threshold: Level) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    def drop(_logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
        if _NUMBERS[method] < threshold.number:
            raise structlog.DropEvent
        return fields

    return drop


class _Sink:
    def __init__(self, lines: LineWriter) -> None:
        self._write = lines.write

    def msg(self, line: str) -> None:
        self._write(line)

    debug = info = warning = error = critical = msg


class _Bridge(logging.Handler):
    """Passes on what libraries say through ``logging``."""

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._logger.log(
                _standard(record.levelno),
                record.getMessage(),
                library=record.name,
                exc_info=record.exc_info,
            )
        except Exception:
            # The library must not fail because its line does.
            with contextlib.suppress(Exception):
                self._logger.exception("a line could not be logged", library=record.name)


def _standard(level: int) -> int:
    # Libraries may have levels of their own, which structlog does not know.
    return min(max(level // 10 * 10, logging.DEBUG), logging.CRITICAL)


def _timed(_logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    level = "fatal" if method == "critical" else method
    moment = f"{_date(seconds)}.{nanoseconds:09d}Z"
    first = {"time": moment, "level": level, "msg": fields.pop("event")}
    return {**first, **fields}


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _bounded(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    for key, value in fields.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            fields[key] = _cut(value, MAX_TRACEBACK if key == "exception" else MAX_TEXT)
    return fields


def _cut(text: str, limit: int) -> str:
    # The end of a traceback, or of a message, says more than its middle.
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} [{len(text) - 2 * half} characters] {text[-half:]}"


def _json(_logger: WrappedLogger | None, _method: str, fields: MutableMapping[str, Any]) -> str:
    return _encode(fields)


def _console(_logger: WrappedLogger | None, _method: str, fields: MutableMapping[str, Any]) -> str:
    head = f"{fields.pop('time')} {fields.pop('level'):<7} {_printable(fields.pop('msg'))}"
    exception = fields.pop("exception", "")
    shown = [
        f"{key}={value if _plain(value) else json.dumps(value, default=repr)}"
        for key, value in fields.items()
    ]
    # Indented, so that no text of an exception looks like a line of its own.
    more = [f"    {_printable(line)}" for line in str(exception).splitlines()]
    return "\n".join([" ".join([head, *shown]), *more])


def _plain(value: object) -> bool:
    text = str(value)
    return bool(text) and text.isascii() and text.isprintable() and not set(text) & set(' "=')


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
