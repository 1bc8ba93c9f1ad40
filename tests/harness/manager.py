"""A service manager that listens and does nothing: what a daemon tells it can be read."""

import socket
from pathlib import Path
from typing import Self

import attrs


@attrs.define
class Manager:
    """A service manager: a socket, and what came there.

    Attributes:
        address: of the socket.
    """

    address: str
    _socket: socket.socket

    @classmethod
    def make(cls, address: Path) -> Self:
        """Listen."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(address))
        return cls(str(address), made)

    def next(self) -> str:
        """Wait for a message and give it."""
        self._socket.settimeout(60.0)
        return self._socket.recv(4096).decode()

    def waiting(self) -> list[str]:
        """Give the messages that came and were not read."""
        found = []
        self._socket.setblocking(False)
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
