"""Messages to the service manager, received by a socket such as systemd's."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters import notify
from cvmfs_snapshotter.adapters.notify import Notifier

ABSTRACT = f"@cvmfs-snapshotter-tests-{os.getpid()}"


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """Give the socket of a manager; it is not bound yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.settimeout(10.0)
        yield made


def test_a_message_to_a_path(manager: socket.socket, tmp_path: Path) -> None:
    """A message is one datagram with an assignment a line."""
    address = str(tmp_path / "s")
    manager.bind(address)

    assert Notifier(address).send(READY=1, STATUS="2 sources up")
    assert b"READY=1\nSTATUS=2 sources up" == manager.recv(4096)


def test_a_message_to_an_abstract_socket(manager: socket.socket) -> None:
    """An address that begins with @ stands for an abstract socket."""
    manager.bind("\0" + ABSTRACT[1:])

    assert Notifier(ABSTRACT).send(WATCHDOG=1)
    assert b"WATCHDOG=1" == manager.recv(4096)


def test_text_cannot_become_an_assignment(manager: socket.socket, tmp_path: Path) -> None:
    """A line break in a text does not begin another assignment."""
    address = str(tmp_path / "s")
    manager.bind(address)

    Notifier(address).send(STATUS="bad\nREADY=1\n")
    assert b"STATUS=bad READY=1" == manager.recv(4096)


def test_nobody_listens(tmp_path: Path) -> None:
    """Without a manager there is nothing to do; one that is gone, or too far away, is told."""
    assert Notifier().send(READY=1)
    assert not Notifier(str(tmp_path / "gone")).send(READY=1)
    assert not Notifier("/" + "x" * 200).send(READY=1)


def test_a_manager_that_does_not_read(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue is waited for a moment only."""
    monkeypatch.setattr(notify, "SECONDS", 0.05)
    address = str(tmp_path / "s")
    manager.bind(address)

    notifier = Notifier(address)
    sent = 0
    while notifier.send(WATCHDOG=1):
        sent += 1
    assert sent > 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Notifier()),
        ({"NOTIFY_SOCKET": ""}, Notifier()),
        ({"NOTIFY_SOCKET": "/s"}, Notifier("/s")),
        ({"NOTIFY_SOCKET": "@s", "WATCHDOG_USEC": "1500000"}, Notifier("@s", 1.5)),
        (
            {"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())},
            Notifier("/s", 2.0),
        ),
        (
            {"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"},
            Notifier("/s"),
        ),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "0"}, Notifier("/s")),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "-5"}, Notifier("/s")),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "soon"}, Notifier("/s")),
        ({"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "1"}, Notifier()),
        ({"WATCHDOG_USEC": "2000000"}, Notifier()),
    ],
)
def test_who_listens(environment: dict[str, str], expected: Notifier) -> None:
    """The environment says who listens, and says it to no process that is started later."""
    taken = {**environment, "PATH": "/bin"}

    assert expected == Notifier.take(taken)
    assert {"PATH": "/bin"} == taken
