"""Telling the service manager how the service is, by the protocol of sd_notify(3)."""

import os
import socket
from collections.abc import MutableMapping
from typing import Self

import attrs

SECONDS = 2.0
"""How long a message may wait for room: systemd does not read while it reloads its units."""

_MICROSECONDS = 1_000_000


@attrs.frozen
class Notifier:
    """Sends messages to a service manager, if there is one.

    Attributes:
        address: of its socket, a path or the name of an abstract one after ``@``; empty if there
            is no manager that listens.
        watchdog: seconds within which it wants a sign of life again and again; None if it wants
            none.
    """

    address: str = ""
    watchdog: float | None = None

    @classmethod
    def take(cls, environment: MutableMapping[str, str]) -> Self:
        """Read from the environment who listens, and take that out of it.

        Processes that we start are not to speak for the service.

        Args:
            environment: with ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` as
                sd_notify(3) and sd_watchdog_enabled(3) describe them.

        Returns:
            What sends messages there. An address of another kind, or a watchdog that is meant
            for another process, is the same as none.
        """
        address = environment.pop("NOTIFY_SOCKET", "")
        period = environment.pop("WATCHDOG_USEC", "")
        process = environment.pop("WATCHDOG_PID", "")
        if not address.startswith(("/", "@")):
            return cls()
        if process not in {"", str(os.getpid())} or not _is_number(period) or not int(period):
            return cls(address)
        return cls(address, int(period) / _MICROSECONDS)

    def send(self, **fields: object) -> bool:
        """Send one message.

        Args:
            fields: its assignments, such as ``READY=1`` and ``STATUS="2 sources up"``.

        Returns:
            Whether it was sent, or nobody listens. It never raises: what the manager does not
            hear is no reason to serve worse.
        """
        if not self.address:
            return True
        text = "\n".join(f"{key}={_one_line(value)}" for key, value in fields.items())
        place = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SECONDS)
                sender.sendto(text.encode(), place)
        except OSError:
            return False
        return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _one_line(value: object) -> str:
    # A line break would begin another assignment.
    return " ".join(str(value).splitlines())
