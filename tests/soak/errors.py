"""The kinds of errors that a soak may meet, and what explains each.

Everything else is a defect. The texts are those of containerd, runc, the kernel, gRPC and ours.
"""

import re
from typing import Final

from .judging import Cause, Kind


def _kind(name: str, pattern: str, *causes: Cause) -> Kind:
    return Kind(name, re.compile(pattern), frozenset(causes))


KINDS: Final = (
    _kind(
        "a layer below is out of reach",
        r"layer sha256:\w+ at \S+ cannot be reached",
        Cause.SOURCE,
        Cause.DIED,
        Cause.VANISHED,
    ),
    _kind(
        "the daemon is away",
        r"daemon\.sock",
        Cause.DAEMON,
    ),
    _kind(
        "containerd is away",
        r"failed to connect to all addresses|socket closed|recvmsg|ttrpc: closed"
        r"|containerd\.sock|shutting down|failed to connect to remote host|goaway"
        r"|server is not initialized yet",
        Cause.CONTAINERD,
    ),
    _kind(
        "a connection is lost",
        r"reading from server: eof|send write: eof|transport is closing|connection closed"
        r"|connection reset|broken pipe",
        Cause.DAEMON,
        Cause.CONTAINERD,
    ),
    # gRPC cancels what comes in while a server ends.
    _kind("cancelled", r"context canceled|^cancelled", Cause.DAEMON, Cause.CONTAINERD),
    _kind(
        "files are out of reach",
        r"input/output error|i/o error|transport endpoint is not connected"
        r"|stale (nfs )?file handle|software caused connection abort",
        Cause.SOURCE,
        Cause.DIED,
        Cause.VANISHED,
    ),
    _kind(
        "a program does not run",
        r"executable file not found|no such file or directory|exit status 1(26|27|35)\b",
        Cause.SOURCE,
        Cause.DIED,
        Cause.VANISHED,
    ),
    _kind(
        "the image is gone",
        r"not found|does not exist|no such image",
        Cause.REMOVED,
    ),
)
