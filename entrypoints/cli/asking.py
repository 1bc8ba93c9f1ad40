"""Asking the daemon that runs."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from urllib.parse import quote

import grpc

from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1.admin_pb2_grpc import AdminStub

from ..errors import CommandError

SECONDS = 20.0
"""How long to wait for an answer; no call of ours waits for a source."""


class AskError(CommandError):
    """There is no answer; the message says why and what to do."""


@contextlib.contextmanager
def asking(address: str) -> Iterator[AdminStub]:
    """Give the calls that a daemon answers.

    Args:
        address: path of its socket.

    Yields:
        Its service; every error of a call in the block becomes an ``AskError``.

    Raises:
        AskError: nobody answers, or the answer is an error.
    """
    _require_somebody(address)
    with grpc.insecure_channel(f"unix:{quote(address)}") as channel:
        try:
            yield AdminStub(channel)
        except grpc.RpcError as error:
            raise AskError(_explain(address, error)) from None


def _require_somebody(address: str) -> None:
    # gRPC would say the same in many more words, and only after it has tried again.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(SECONDS)
        try:
            client.connect(address)
        except OSError as error:
            why = error.strerror or "the path is too long or no answer came"
            raise AskError(
                f"no daemon answers on {address}: {why}; is it running, and is --address right?"
            ) from None


def _explain(address: str, error: grpc.RpcError) -> str:
    code: Callable[[], grpc.StatusCode] = error.code
    details: Callable[[], str | None] = error.details
    match code():
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"what answers on {address} is another program, or an older release"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"the daemon on {address} did not answer within {SECONDS:g} s"
        case grpc.StatusCode.NOT_FOUND:
            return details() or "there is no such thing"
    return f"the daemon on {address} answered {code().name}: {details()}"
