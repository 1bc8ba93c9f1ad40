"""A source that hangs: who waits for it, how long, and who does not."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.clock import SystemClock
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.domain.errors import UnavailableError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from cvmfs_snapshotter.domain.layer import Digest, Layer, Miss
from cvmfs_snapshotter.entrypoints.rpc.server import THREADS
from tests.faults.node import DEADLINE, OPENED, SLACK, Node, node_on, seconds_of, workers
from tests.faults.stand import LAYERS, place
from tests.harness.fuse.faults import Operation, hangs
from tests.harness.fuse.file_system import FileSystem, file_system
from tests.harness.layers import digest_of
from tests.harness.processes import processes, wait_until
from tests.harness.repository import Repository

PROBES = 26
"""Most processes of a daemon with one source: 20 for requests, 3 that try it, 3 that hold it."""


def _labels(number: int) -> dict[str, str]:
    """Give the labels for a layer that nobody has published."""
    digest = digest_of(f"never published {number}".encode())
    return {TARGET: digest, LAYER_DIGEST: digest}


def _prepare(node: Node, number: int) -> None:
    node.client.prepare(f"k{number}", "", _labels(number))


@pytest.mark.parametrize(
    "operation",
    [Operation.GETXATTR, Operation.LOOKUP, Operation.OPENDIR, Operation.READDIR],
    ids=lambda each: each.value,
)
def test_a_pull_without_remote_layers(cvmfs: FileSystem, operation: Operation) -> None:
    """Whatever hangs, the layer is a miss within the deadline and an ordinary snapshot."""
    with node_on(cvmfs) as node:
        node.wait_until_looked_at()
        cvmfs.breaks(hangs(operation))
        started = time.monotonic()
        decision = node.pull(LAYERS[0])
        took = time.monotonic() - started

    assert ("miss", "slow") == (decision.outcome, decision.reason)
    assert DEADLINE / 2 < took < DEADLINE + SLACK


def test_one_deadline_for_all_sources(cvmfs: FileSystem, repository: Repository) -> None:
    """Where two sources hang, nobody waits for one after the other."""
    deadline = 6.0
    point = repository.path.parent / "other"
    second = (
        f'[[source]]\nname = "other"\nkind = "cvmfs"\npath = "{point}"\n'
        f'repository = "{cvmfs.repository}"\nlookup_deadline = {deadline}\n'
    )
    with (
        file_system(repository.path, point) as other,
        node_on(cvmfs, deadline=deadline, more=second) as node,
    ):
        node.wait_until_looked_at(2)
        cvmfs.breaks(hangs())
        other.breaks(hangs())
        started = time.monotonic()
        decision = node.pull(LAYERS[0])
        took = time.monotonic() - started

    assert ("miss", "slow") == (decision.outcome, decision.reason)
    assert took < 2 * deadline - 1


def test_once_the_circuit_is_open(cvmfs: FileSystem) -> None:
    """After two layers that were waited for, the next ones are misses within 50 ms."""
    with node_on(cvmfs) as node:
        name = node.provide(LAYERS[0])
        node.client.prepare("container", name, {})
        cvmfs.breaks(hangs())
        reasons = [node.pull(layer).reason for layer in LAYERS[1:3]]
        node.wait_for(OPENED)
        times = [seconds_of(partial(_prepare, node, number)) for number in range(20)]
        with pytest.raises(UnavailableError, match="circuit"):
            node.client.mounts("container")

    assert ["slow", "slow"] == reasons
    # The fastest: what a busy machine adds to the others is not the daemon's.
    assert min(times) < 0.05


@pytest.mark.parametrize("call", ["mounts", "view", "prepare", "pull"])
def test_with_a_remote_layer_below(cvmfs: FileSystem, call: str) -> None:
    """It is UNAVAILABLE within the deadline; layer, path and cause are named; nothing is left."""
    with node_on(cvmfs) as node:
        name = node.provide(LAYERS[0])
        node.client.prepare("container", name, {})
        before = node.daemon.snapshots()
        calls: dict[str, Callable[[], object]] = {
            "mounts": lambda: node.client.mounts("container"),
            "view": lambda: node.client.view("new", name, {}),
            "prepare": lambda: node.client.prepare("new", name, {}),
            "pull": lambda: node.client.prepare("new", name, _labels(1)),
        }
        cvmfs.breaks(hangs(Operation.OPENDIR))
        started = time.monotonic()
        with pytest.raises(UnavailableError) as refused:
            calls[call]()
        took = time.monotonic() - started
        after = node.daemon.snapshots()

    assert took < DEADLINE + SLACK
    said = str(refused.value)
    assert LAYERS[0].digest in said
    assert f"{cvmfs.point}{place(LAYERS[0])}" in said
    assert "(slow)" in said
    assert before == after


def test_above_a_sound_layer(cvmfs: FileSystem) -> None:
    """Where the layer itself hangs and what lies below does not, it is a miss, no refusal."""
    # Time enough for the sound one, also on a busy machine.
    deadline = 10.0
    with node_on(cvmfs, deadline=deadline) as node:
        name = node.provide(LAYERS[0])
        cvmfs.breaks(hangs(below=place(LAYERS[1])))
        started = time.monotonic()
        decision = node.pull(LAYERS[1], name, LAYERS[0].diff_id)
        took = time.monotonic() - started

    assert ("miss", "slow") == (decision.outcome, decision.reason)
    assert took < deadline + SLACK


def test_what_asks_no_source_is_not_slowed(cvmfs: FileSystem) -> None:
    """While as many Prepares wait as the server has threads, all other calls answer at once."""
    with node_on(cvmfs, deadline=25.0) as node:
        client = node.client
        name = node.provide(LAYERS[0])
        client.prepare("active", "", {})
        client.prepare("another", "", {})
        cvmfs.breaks(hangs())
        with ThreadPoolExecutor(THREADS) as waiting:
            calls = [
                waiting.submit(client.prepare, f"wait-{n}", "", _labels(n)) for n in range(THREADS)
            ]
            try:
                cvmfs.wait_hanging(4)
                # What was refused a place among the waiting ones has been answered.
                wait_until("all are there", lambda: sum(c.done() for c in calls) >= THREADS // 4)
                times = {
                    "stat": seconds_of(lambda: client.stat(name)),
                    "list": seconds_of(lambda: list(client.list([]))),
                    "usage": seconds_of(lambda: client.usage(name)),
                    "update": seconds_of(lambda: client.update(name, {"a": "b"}, ["labels.a"])),
                    "commit": seconds_of(lambda: client.commit("committed", "active", {})),
                    "remove": seconds_of(lambda: client.remove("another")),
                    "cleanup": seconds_of(client.cleanup),
                }
                waited = sum(not call.done() for call in calls)
            finally:
                cvmfs.heals()
        answered = [call.result() for call in calls]

    assert THREADS * 3 // 4 == waited
    assert THREADS == len(answered)
    assert max(times.values()) < SLACK, times


def _resources(pid: int) -> dict[str, int]:
    """Measure a process: memory in KiB, threads, open files, and the processes it has started."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    numbers = {line.split(":")[0]: line.split()[1] for line in status if len(line.split()) > 1}
    children = 0
    for child, _ in processes():
        try:
            stat = Path(f"/proc/{child}/stat").read_text()
        except OSError:
            continue
        children += int(stat.rpartition(")")[2].split()[1]) == pid
    return {
        "memory": int(numbers["VmRSS"]),
        "threads": int(numbers["Threads"]),
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "processes": children,
    }


def test_a_thousand_look_ups_of_a_daemon(cvmfs: FileSystem) -> None:
    """What a daemon uses does not grow between the first hundred hung look-ups and the last."""
    with node_on(cvmfs) as node:
        node.wait_until_looked_at()
        cvmfs.breaks(hangs())

        def ask(number: int) -> None:
            _prepare(node, number)
            node.client.remove(f"k{number}")

        with ThreadPoolExecutor(32) as many:
            list(many.map(ask, range(100)))
            first = _resources(node.daemon.pid)
            list(many.map(ask, range(100, 1000)))
            last = _resources(node.daemon.pid)

    assert last["processes"] <= PROBES
    assert last["threads"] <= first["threads"] + THREADS
    assert last["files"] <= first["files"] + PROBES * 2
    assert last["memory"] <= first["memory"] + 32 * 1024


def test_a_thousand_look_ups_that_all_hang(cvmfs: FileSystem) -> None:
    """Without any circuit too, the processes that hang are bounded, and who asks never waits long.

    A circuit keeps most look-ups away from a source, so that this is asked of what is behind it.
    """
    settings = SourceSettings(
        name="tests", kind=SourceKind.CVMFS, repository=cvmfs.repository, path=str(cvmfs.point)
    )
    clock = SystemClock()
    pool = ProbePool(worker_command(WORKER_MODULE), workers=4, lost=16, callers=8)
    sources = Sources([settings], pool, clock)
    before = _resources(os.getpid())
    cvmfs.breaks(hangs())
    try:
        found = [
            sources.look(
                Layer("tests", Digest(digest_of(str(number).encode())[7:])),
                clock.monotonic() + 0.2,
            )
            for number in range(1000)
        ]
        living, lost = pool.count()
        last = _resources(os.getpid())
    finally:
        cvmfs.heals()
        pool.close()

    assert {"slow", "busy"} == {miss.reason.value for miss in found if isinstance(miss, Miss)}
    assert 1000 == sum(isinstance(miss, Miss) for miss in found)
    assert living + lost <= 20
    assert last["processes"] <= before["processes"] + 20
    assert last["files"] <= before["files"] + 40
    assert last["threads"] <= before["threads"] + 1


def test_shutdown(cvmfs: FileSystem) -> None:
    """With as many Prepares waiting as can be, SIGTERM ends the daemon in its limit, in order."""
    with node_on(cvmfs, deadline=60.0) as node:
        node.wait_until_looked_at()
        cvmfs.breaks(hangs())
        threads = [
            threading.Thread(target=_ignore, args=(node, f"wait-{number}", number), daemon=True)
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        cvmfs.wait_hanging(4)
        started = time.monotonic()
        status = node.daemon.terminate()
        took = time.monotonic() - started
        for thread in threads:
            thread.join(SLACK)
        alive = [thread for thread in threads if thread.is_alive()]

    assert status == 0
    # Calls in flight get 10 s, and what waits for a source then another 2.
    assert took < 20.0 + SLACK
    assert [] == alive


def _ignore(node: Node, key: str, number: int) -> None:
    try:
        node.client.prepare(key, "", _labels(number))
    except Exception:  # noqa: BLE001 - the end of the daemon answers it in one way or another
        return


def test_a_killed_daemon_leaves_nothing_locked(cvmfs: FileSystem) -> None:
    """With a probe in uninterruptible sleep, a new daemon serves soon, and has all records."""
    with node_on(cvmfs) as node:
        name = node.provide(LAYERS[0])
        before = set(workers())
        cvmfs.breaks(hangs(Operation.OPENDIR, Operation.GETXATTR))
        node.pull(LAYERS[1])
        hung = wait_until(
            "a probe in uninterruptible sleep",
            lambda: [pid for pid, state in workers().items() if state == "D"],
        )
        node.daemon.kill()
        files = [
            str(link.readlink()) for pid in hung for link in Path(f"/proc/{pid}/fd").iterdir()
        ]
        took = node.restart()
        still = [pid for pid, state in workers().items() if pid in hung and state == "D"]
        kept = node.daemon.snapshots()
        cvmfs.heals()
        node.wait_for_hits(LAYERS[2])
        wait_until("the probes are gone", lambda: not set(hung) & set(workers()))

    assert before
    assert hung == still
    assert [] == [file for file in files if str(node.daemon.directory) in file]
    assert name in kept
    assert took < SLACK
