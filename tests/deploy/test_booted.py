"""The unit, started by a real systemd."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from tests.contract.wire import WireSnapshotter
from tests.deploy.booted import NAME, System, booted
from tests.harness.layers import file, layer
from tests.harness.processes import wait_until
from tests.harness.repository import Repository

LAYER = layer(file("hello", "hello\n"))
SOURCE = '[[source]]\nname = "tests"\nkind = "directory"\npath = "/media/source"\n'


@pytest.fixture
def system() -> Iterator[System]:
    """Give a system on which the daemon is active; its source is not there."""
    with booted(SOURCE) as made:
        yield made


def test_the_unit_lives(system: System) -> None:
    """The unit is active, shows how it is, reloads, sees later mounts, and survives its daemon."""
    # Whether its source is down is not known at once.
    wait_until("a status", lambda: system.shown("StatusText").endswith(", 0 snapshots"), 60.0)
    with closing(WireSnapshotter(system.socket)) as client:
        client.prepare("early", "", {TARGET: LAYER.diff_id, LAYER_DIGEST: LAYER.digest})
        published = Repository.make(system.root / "media/published")
        published.publish(LAYER)
        (system.root / "media/source").mkdir()
        system.run("mount", "--bind", "/media/published", "/media/source")
        wait_until("a hit on a source that was mounted later", lambda: _hit(client), 120.0)
    system.wait_for("StatusText", "1 source up, 2 snapshots")

    (system.root / "media/config.toml").write_text('log_level = "debug"\n' + SOURCE)
    system.control("reload", NAME)
    wait_until("the reload", lambda: "configuration reloaded" in system.log())
    system.wait_for("ActiveState", "active")
    assert "0" == system.shown("NRestarts")

    os.kill(_main(system), 9)
    system.wait_for("NRestarts", "1")
    system.wait_for("ActiveState", "active")
    with closing(WireSnapshotter(system.socket)) as client:
        assert 2 == sum(len(batch) for batch in client.list([]))

    system.control("stop", NAME)
    assert ("inactive", "success") == (system.shown("ActiveState"), system.shown("Result"))
    assert not system.socket.exists()


def test_the_watchdog_bites(system: System) -> None:
    """A daemon that cannot be reached any more is ended and replaced, and leaves its stacks."""
    system.socket.unlink()

    system.wait_for("NRestarts", "1")
    system.wait_for("ActiveState", "active")
    with closing(WireSnapshotter(system.socket)) as client:
        client.prepare("a", "", {})
    assert "Fatal Python error: Aborted" in system.log()


def _hit(client: WireSnapshotter) -> bool:
    try:
        client.prepare("probe", "", {TARGET: LAYER.diff_id, LAYER_DIGEST: LAYER.digest})
    except AlreadyExistsError:
        return True
    client.remove("probe")
    return False


def _main(system: System) -> int:
    """Give the daemon's process, as the machine sees it."""
    inside = system.shown("MainPID")
    children = Path(f"/proc/{system.pid}/task/{system.pid}/children").read_text().split()
    for child in children:
        if f"NSpid:\t{child}\t{inside}\n" in Path(f"/proc/{child}/status").read_text():
            return int(child)
    raise AssertionError(f"no process is {inside}")
