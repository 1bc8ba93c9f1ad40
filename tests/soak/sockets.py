"""Sockets of shims that were being started when containerd was killed."""

import hashlib
import re
from pathlib import Path
from typing import Final

from tests.harness.leftovers import SHIM_SOCKETS

_NAMES: Final = re.compile(rb"\b(?:[0-9a-f]{64}|ctr-\d+)\b")


def remove_sockets(log: Path, address: Path, namespaces: tuple[str, ...]) -> None:
    """Remove the sockets that a containerd which has ended left behind.

    It kills with itself whatever starts a shim. A socket that was made just then belongs to no
    container, and nothing says that it is there; but its name follows from the container's
    (containerd, `pkg/shim`, "SocketAddress").

    Args:
        log: What it has logged, with the names of all its containers.
        address: Its own socket.
        namespaces: Of its containers.
    """
    for name in set(_NAMES.findall(log.read_bytes())):
        for namespace in namespaces:
            place = f"{address}/{namespace}/{name.decode()}"
            for path in (place, f"{place}/debug"):
                socket = hashlib.sha256(path.encode()).hexdigest()
                (SHIM_SOCKETS / socket).unlink(missing_ok=True)
