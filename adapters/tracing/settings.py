"""Where spans go, and how many. Nothing of OpenTelemetry is imported here."""

import ipaddress
from typing import Self
from urllib.parse import urlsplit

import attrs

_TRACES = "/v1/traces"
_SCHEMES = ("http", "https")
_PORT = 4318


@attrs.frozen
class Endpoint:
    """The address of a collector that takes OTLP over HTTP.

    Attributes:
        secure: whether TLS is spoken.
        host: name or IP address.
        port: of TCP.
        path: of the request, with its query.
    """

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``http://127.0.0.1:4318`` or ``https://collector.example.org/otlp/v1/traces``.

        Without a path it is that of the specification (OTLP, "OTLP/HTTP Request"), and without a
        port it is OTLP's own.

        Raises:
            ValueError: the text is no such address, or has a password in it.
        """
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError(text)
        parts = urlsplit(text)
        plain = parts.username is None and not parts.fragment
        if parts.scheme not in _SCHEMES or not parts.hostname or not plain or parts.port == 0:
            raise ValueError(text)
        path = _TRACES if parts.path in {"", "/"} else parts.path
        query = f"?{parts.query}" if parts.query else ""
        port = parts.port or _PORT
        return cls(parts.scheme == "https", parts.hostname, port, path + query)

    @property
    def exposed(self) -> bool:
        """Whether others may read on the way what is sent there."""
        if self.secure or self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.path}"


@attrs.frozen
class TracingSettings:
    """What is configured about tracing.

    Attributes:
        endpoint: where spans go.
        ratio: share of the calls that are traced among those that do not belong to a trace yet,
            from 0 to 1. For the others their caller has decided.
    """

    endpoint: Endpoint
    ratio: float = 1.0

    def __str__(self) -> str:
        return f"{self.endpoint}, ratio {self.ratio:g}"
