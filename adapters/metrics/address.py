"""Where metrics are served."""

import ipaddress
import os
import socket
from typing import Self

import attrs

_UNIX = "unix:"
_PATH_BYTES = 107
_MOST_PORT = 65535


@attrs.frozen
class Address:
    """An address of a server: a path, or a host and a port.

    Attributes:
        path: of a unix socket, absolute; empty for TCP.
        host: an IP address; empty for a unix socket.
        port: of TCP.
    """

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``unix:/path``, ``127.0.0.1:9732`` or ``[::1]:9732``.

        Names are not taken: to resolve one may take long, and gives another address tomorrow.

        Raises:
            ValueError: the text is nothing of that.
        """
        if text.startswith(_UNIX):
            return cls(path=_path(text.removeprefix(_UNIX)))
        host, _, port = text.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        parsed = ipaddress.ip_address(bare)
        if (parsed.version == 6) == (bare == host):  # noqa: PLR2004 - the version of IP
            raise ValueError(text)
        if not port.isascii() or not port.isdigit() or not 0 < int(port) <= _MOST_PORT:
            raise ValueError(text)
        return cls(host=str(parsed), port=int(port))

    @property
    def exposed(self) -> bool:
        """Whether other machines may reach it."""
        return bool(self.host) and not ipaddress.ip_address(self.host).is_loopback

    @property
    def _family(self) -> socket.AddressFamily:
        if self.path:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    def listen(self, backlog: int) -> socket.socket:
        """Make a socket that listens; one of a path is for root alone.

        Args:
            backlog: connections that may wait for their turn.

        Raises:
            OSError: that is not possible.
        """
        made = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            if self.path:
                # Before it has its name: the kernel makes the file with the mode of the socket.
                os.fchmod(made.fileno(), 0o600)
                made.bind(self.path)
            else:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.bind((self.host, self.port))
            made.listen(backlog)
        except BaseException:
            made.close()
            raise
        return made

    def __str__(self) -> str:
        if self.path:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _path(text: str) -> str:
    plain = "/" + text.strip("/")
    if not text.startswith("/") or plain == "/" or ".." in text.split("/"):
        raise ValueError(text)
    if not text.isprintable() or len(plain.encode()) > _PATH_BYTES:
        raise ValueError(text)
    return plain
