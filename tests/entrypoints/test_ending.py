import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from cvmfs_snapshotter.domain.errors import SnapshotterError
from tests.contract.wire import WireSnapshotter
from tests.harness.processes import wait_until

STUCK = """
import sys, threading
from cvmfs_snapshotter.domain.usecases import snapshotter
from cvmfs_snapshotter.entrypoints import daemon
from cvmfs_snapshotter.entrypoints.cli import main

def stat(self, key):
    print("entered", file=sys.stderr, flush=True)
    threading.Event().wait()

snapshotter.LayerSnapshotter.stat = stat
daemon.GRACE, daemon._LAST = 0.2, 0.2
sys.exit(main(["run", *sys.argv[1:]]))
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a directory with a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="the daemon must run as root")
def test_a_call_that_never_ends_does_not_keep_the_daemon(base: Path) -> None:
    """After its grace the process ends, whatever still runs in it, and says so."""
    (base / "layers").mkdir()
    config, log, address = base / "config.toml", base / "log", base / "s"
    config.write_text(f'[[source]]\nname = "x"\nkind = "directory"\npath = "{base}/layers"\n')
    flags = ["--config", str(config), "--root", f"{base}/root", "--address", str(address)]
    with log.open("w") as stream:
        daemon = subprocess.Popen([sys.executable, "-c", STUCK, *flags], stderr=stream)
    try:
        wait_until("it serves", lambda: '"serving"' in log.read_text())
        client = WireSnapshotter(address)
        heard: list[Exception] = []

        def ask() -> None:
            try:
                client.stat("x")
            except (grpc.RpcError, SnapshotterError) as error:
                heard.append(error)

        caller = threading.Thread(target=ask)
        caller.start()
        wait_until("the call is in flight", lambda: "entered" in log.read_text())
        daemon.send_signal(signal.SIGTERM)

        assert 0 == daemon.wait(15.0)
        caller.join(15.0)
        client.close()
        assert 1 == len(heard)
        last = json.loads(log.read_text().splitlines()[-1])
        assert "calls are still running; the process ends without them" == last["msg"]
    finally:
        daemon.kill()
        daemon.wait(15.0)
