"""How long a start takes, and how much memory a daemon holds."""

import subprocess
import time

from . import client, filling
from .plan import Plan
from .results import Single
from .servers import OURS, Server, running, wait_until_at_rest
from .stand import Stand

SECTION = "start"
RUNS = 5
SIZES = (0, 10_000, 100_000)


def measure(stand: Stand, plan: Plan) -> list[Single]:
    """Measure starts with several numbers of remote snapshots, in turns, and memory after them."""
    if not plan.wants(SECTION):
        return []
    servers = {size: filling.with_remote_layers(stand, size) for size in SIZES}
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    memory: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(RUNS):
        for size, server in servers.items():
            times[size].append(_seconds_to_first_answer(server))
            server.stop()
    for size, server in servers.items():
        with running(server):
            wait_until_at_rest(server)
            memory[size].append(server.rss)
    with running(servers[10_000]):
        client.run(
            servers[10_000].socket,
            "list",
            server=servers[10_000].pid,
            seconds=2,
            snapshotter="cvmfs-snapshotter",
        )
        listed = servers[10_000].rss
    found = []
    for size in SIZES:
        there = f"{size} remote snapshots"
        found += [
            Single.of(SECTION, f"exec to first answer, {there}", OURS, times[size], "s"),
            Single.of(SECTION, f"RSS at rest, {there}", OURS, memory[size], "MiB"),
        ]
    found.append(
        Single.of(SECTION, "RSS after List, 10000 remote snapshots", OURS, [listed], "MiB")
    )
    return found


def _seconds_to_first_answer(server: Server) -> float:
    waiting = subprocess.Popen(
        [client.program(), "-socket", server.socket, "-operation", "wait"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with waiting as process:
        if process.stdout is None or process.stdout.readline() != "waiting\n":
            raise RuntimeError("the client does not wait")
        started = time.time_ns()
        server.spawn()
        answer = process.stdout.readline()
    if process.returncode:
        raise RuntimeError("the daemon did not answer")
    return (int(answer) - started) / 1e9
