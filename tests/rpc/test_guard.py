"""Rules of the guard that no call of the service shows."""

import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import structlog
from structlog.testing import LogCapture

from cvmfs_snapshotter.domain import errors
from cvmfs_snapshotter.entrypoints.rpc.calls import Calls
from cvmfs_snapshotter.entrypoints.rpc.guard import Guard
from cvmfs_snapshotter.entrypoints.rpc.status import INTERNAL
from cvmfs_snapshotter.entrypoints.rpc.streams import Streams

METHOD = "/containerd.services.snapshots.v1.Snapshots/Stat"


class AbortedError(Exception):
    """Ends a handler as grpcio's own abort does."""


class Context:
    """The part of a call that the guard uses; remembers the status."""

    def __init__(self) -> None:
        self.status: tuple[grpc.StatusCode, str] | None = None

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        """End the call."""
        self.status = code, details
        raise AbortedError

    def cancel(self) -> None:
        """End the call without a status."""


class Details:
    """What is known of a call before its handler is chosen."""

    method = METHOD
    invocation_metadata = ()


@pytest.fixture
def log() -> LogCapture:
    """Give what takes the guard's lines."""
    return LogCapture()


@pytest.fixture
def calls() -> Calls:
    """Give what counts the calls."""
    return Calls()


@pytest.fixture
def guard(log: LogCapture, calls: Calls) -> Guard:
    """Give a guard."""
    logger = structlog.wrap_logger(
        None, processors=[log], wrapper_class=structlog.make_filtering_bound_logger("debug")
    )
    return Guard(logger, calls, Streams())


def _guarded(guard: Guard, handler: Any) -> Any:
    """Put the guard around a handler."""
    return guard.intercept_service(lambda _: handler, Details())  # type: ignore[arg-type]


def _read(data: bytes) -> bytes:
    """Read a request as it is."""
    return data


def _answer(request: bytes, _: object) -> bytes:
    """Answer with the request."""
    return request


def test_no_handler(guard: Guard) -> None:
    """A method that does not exist stays one."""
    assert _guarded(guard, None) is None


def test_handlers_that_read_a_stream(guard: Guard) -> None:
    """A kind of call that the service does not have is passed on as it is."""
    handler: Any = grpc.stream_unary_rpc_method_handler(lambda requests, _: b"", _read)

    assert handler is _guarded(guard, handler)


def test_handlers_without_a_reader(guard: Guard) -> None:
    """A handler that takes bytes, as grpcio's own ones may, is passed on as it is."""
    handler: Any = grpc.unary_unary_rpc_method_handler(_answer)

    assert handler is _guarded(guard, handler)


def test_answer(guard: Guard, calls: Calls) -> None:
    """An answer passes unchanged, and the call counts no more afterwards."""
    guarded = _guarded(guard, grpc.unary_unary_rpc_method_handler(_answer, _read))

    assert b"x" == guarded.unary_unary(guarded.request_deserializer(b"x"), Context())
    assert calls.wait_until_none(0.0)


def test_error_in_a_reader(guard: Guard) -> None:
    """A reader that fails for another reason than its bytes is not blamed on the request."""

    def broken(_: bytes) -> bytes:
        raise MemoryError

    guarded = _guarded(guard, grpc.unary_unary_rpc_method_handler(_answer, broken))
    with pytest.raises(MemoryError):
        guarded.request_deserializer(b"x")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidArgumentError("it"), grpc.StatusCode.INVALID_ARGUMENT),
        (errors.NotFoundError("it"), grpc.StatusCode.NOT_FOUND),
        (errors.AlreadyExistsError("it"), grpc.StatusCode.ALREADY_EXISTS),
        (errors.FailedPreconditionError("it"), grpc.StatusCode.FAILED_PRECONDITION),
        (errors.UnavailableError("it"), grpc.StatusCode.UNAVAILABLE),
        (errors.ResourceExhaustedError("it"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_answers_are_no_defects(
    guard: Guard, log: LogCapture, calls: Calls, error: Exception, code: grpc.StatusCode
) -> None:
    """An error of the domain has its code and message, and is not logged as a defect."""

    def fail(*_: object) -> bytes:
        raise error

    context = Context()
    guarded = _guarded(guard, grpc.unary_unary_rpc_method_handler(fail, _read))
    with pytest.raises(AbortedError):
        guarded.unary_unary(b"x", context)

    assert (code, "it") == context.status
    assert [("debug", "Stat", code.name)] == [
        (line["log_level"], line["method"], line["code"]) for line in log.entries
    ]
    assert calls.wait_until_none(0.0)


def test_defect_in_the_middle_of_a_stream(guard: Guard, log: LogCapture, calls: Calls) -> None:
    """What a stream has said until a defect is sent; its end is INTERNAL, with nothing of ours."""

    def answers(*_: object) -> Iterator[bytes]:
        yield b"one"
        raise OSError("a secret of ours")

    context = Context()
    guarded = _guarded(guard, grpc.unary_stream_rpc_method_handler(answers, _read))
    stream = guarded.unary_stream(b"x", context)
    assert b"one" == next(stream)
    assert not calls.wait_until_none(0.0)
    with pytest.raises(AbortedError):
        next(stream)

    assert (grpc.StatusCode.INTERNAL, INTERNAL) == context.status
    assert ["call failed because of a defect", "call"] == [line["event"] for line in log.entries]
    assert isinstance(log.entries[0]["exc_info"], OSError)
    assert calls.wait_until_none(0.0)


def test_dropped_stream(guard: Guard, log: LogCapture, calls: Calls) -> None:
    """A stream whose client has gone ends without an error and counts no more."""

    def answers(*_: object) -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    guarded = _guarded(guard, grpc.unary_stream_rpc_method_handler(answers, _read))
    stream = guarded.unary_stream(b"x", Context())
    next(stream)
    stream.close()

    assert [("debug", "CANCELLED")] == [(e["log_level"], e["code"]) for e in log.entries]
    assert calls.wait_until_none(0.0)


class Observed:
    """What a guard tells of the calls that have ended."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __call__(self, path: str, code: str, seconds: float) -> None:
        """Take note of a call."""
        assert seconds >= 0
        self.calls.append((path, code))


def test_calls_are_observed(log: LogCapture, calls: Calls) -> None:
    """Every call that has ended is told once, with the code that its client gets."""
    observed = Observed()
    guard = Guard(structlog.wrap_logger(None, processors=[log]), calls, Streams(), observed)

    def fail(_: bytes, __: object) -> bytes:
        raise errors.NotFoundError("it")

    def stream(_: bytes, __: object) -> Any:
        yield from (b"1", b"2")

    handler: Any
    for handler in (
        grpc.unary_unary_rpc_method_handler(_answer, _read),
        grpc.unary_unary_rpc_method_handler(fail, _read),
        grpc.unary_stream_rpc_method_handler(stream, _read),
        grpc.unary_stream_rpc_method_handler(stream, _read),
    ):
        guarded: Any = guard._guard("/a.b.S/Call", handler)
        if guarded.unary_stream is not None:
            answers = guarded.unary_stream(b"x", Context())
            next(answers)
            # The second time the client goes away in the middle.
            if len(observed.calls) == 3:
                answers.close()
            else:
                assert [b"2"] == list(answers)
        else:
            with contextlib.suppress(AbortedError):
                guarded.unary_unary(b"x", Context())

    codes = ["OK", "NOT_FOUND", "OK", "CANCELLED"]
    assert [("/a.b.S/Call", code) for code in codes] == observed.calls
