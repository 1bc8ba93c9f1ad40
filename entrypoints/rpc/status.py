"""Status codes for the errors of the domain."""

import grpc

from cvmfs_snapshotter.domain import errors

_MESSAGE_BYTES = 1300

_CODES: tuple[tuple[type[errors.SnapshotterError], grpc.StatusCode], ...] = (
    (errors.InvalidArgumentError, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.NotFoundError, grpc.StatusCode.NOT_FOUND),
    (errors.AlreadyExistsError, grpc.StatusCode.ALREADY_EXISTS),
    (errors.FailedPreconditionError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.UnavailableError, grpc.StatusCode.UNAVAILABLE),
    (errors.ResourceExhaustedError, grpc.StatusCode.RESOURCE_EXHAUSTED),
)

INTERNAL = "internal error of the snapshotter; its log has the details"
"""All that a caller learns of a defect of ours."""


def status_of(error: Exception) -> tuple[grpc.StatusCode, str]:
    """Give the status that an error is answered with.

    containerd turns the code back into its own error and acts on that (its
    ``errdefs/pkg/errgrpc``).

    Args:
        error: what a use case raised.

    Returns:
        Code and message; ``INTERNAL`` for anything that is not an answer.
    """
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code, _short(str(error))
    return grpc.StatusCode.INTERNAL, INTERNAL


def _short(message: str) -> str:
    # The message travels in a trailer, percent-encoded (three bytes for one at worst). Clients
    # take 8 KiB of trailers in all and report anything larger as another error.
    data = message.encode(errors="replace")
    if len(data) <= _MESSAGE_BYTES:
        return message
    half = _MESSAGE_BYTES // 2
    head = data[:half].decode(errors="ignore")
    tail = data[-half:].decode(errors="ignore")
    return f"{head} [...] {tail}"
