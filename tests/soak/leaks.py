"""What is left of a soak once all images and containers are gone: it must be nothing."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import attrs

from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from tests.harness import mounts
from tests.harness.daemon import Daemon
from tests.harness.processes import WaitError, processes, wait_until

from .gauges import Gauge, descriptors_of, look, parent
from .judging import growth
from .stand import OTHER_NAMESPACE, Stand

TABLES: Final = ("snapshots", "companions", "tombstones", "strangers")

PATIENCE: Final = 90.0
"""Seconds until everything is away: containerd may be collecting garbage still."""

MEMORY: Final = 8.0
"""MiB by which the daemon may have grown after its warming up."""

THREADS: Final = 90
"""Most threads: 64 for calls and the library's own."""

PROBES: Final = 26
"""Most processes with one source: 20 for requests, 3 that try it, 3 that hold it."""

DESCRIPTORS: Final = 24
"""How many more the daemon may have open than when it began: a connection to each probe process,
and to the database for threads that had none yet."""

SIGNS: Final = "/memfd:signs (deleted)"
"""Where a probe process notes how far it is."""


@attrs.frozen
class Kept:
    """What the daemon keeps on disk, and in what of it is mounted.

    Attributes:
        records: Rows of each of `TABLES`.
        names: Paths below its root that belong to snapshots and companions.
        mounts: Mount points below the directory of the soak.
    """

    records: dict[str, int]
    names: frozenset[str]
    mounts: frozenset[Path]


def kept(stand: Stand) -> Kept:
    """Look at everything that may be left."""
    root = stand.daemon.root
    places = (root / "snapshots", root / "companions", root / "l")
    return Kept(
        _records(root / "metadata.sqlite"),
        frozenset(str(path.relative_to(root)) for place in places for path in place.iterdir()),
        frozenset(mounts.below(stand.workspace.base)),
    )


def leftovers(
    before: Kept, look_again: Callable[[], Kept], seconds: float = PATIENCE
) -> list[str]:
    """Wait until nothing is left, and tell in words what still is.

    Args:
        before: What was there before anything was done.
        look_again: Tells what is there.
    """

    def left() -> list[str]:
        now = look_again()
        more = {name: now.records[name] - count for name, count in before.records.items()}
        return [
            *(f"{count} rows of {name}" for name, count in more.items() if count),
            *(f"{name} in the root" for name in sorted(now.names - before.names)),
            *(f"{name} is gone from the root" for name in sorted(before.names - now.names)),
            *(f"mount {point}" for point in sorted(now.mounts - before.mounts)),
        ]

    try:
        wait_until("nothing is left", lambda: not left(), seconds)
    except WaitError:
        return left()
    return []


def clear(stand: Stand) -> None:
    """Remove every container, image and lease from containerd, and let it collect its garbage.

    A containerd that was killed leaves leases of a day behind; they are its own affair.
    """
    cri = stand.containerd.cri
    cri.remove_everything()
    for name in ("k8s.io", OTHER_NAMESPACE):
        ctr = stand.containerd.ctr(name)
        for task in ctr.run("tasks", "list", "--quiet").split():
            ctr.run("tasks", "delete", "--force", task)
        for container in ctr.run("containers", "list", "--quiet").split():
            ctr.run("containers", "delete", container)
        for lease in ctr.run("leases", "list", "--quiet").split():
            ctr.run("leases", "delete", lease)
    for reference in sorted(cri.images()):
        cri.remove_image(reference)
    for name in ("k8s.io", OTHER_NAMESPACE):
        ctr = stand.containerd.ctr(name)
        for reference in sorted(ctr.images()):
            ctr.run("images", "remove", "--sync", reference)


def overuse(daemon: Daemon, series: list[Gauge], before: Gauge, at: float) -> list[str]:
    """Tell in words what the daemon has too much of.

    Args:
        series: What it had; what its present process had of it counts.
        before: A daemon that had done little yet.
        at: The time, seconds since the soak began.
    """
    now = look(daemon, at)
    return [
        *excess(now, before, [each for each in series if each.pid == now.pid]),
        *(f"probe process {pid} is nobody's" for pid in orphans(series, now.pid)),
        *(
            f"{count} descriptors of {name}"
            for name, count in sorted(
                too_many(descriptors_of(daemon.pid), len(now.probes)).items()
            )
        ),
    ]


def excess(now: Gauge, before: Gauge, series: list[Gauge]) -> list[str]:
    """Judge the figures of one process.

    Args:
        now: The last ones.
        before: Those of a daemon that had done little.
        series: All of them.
    """
    found = []
    grown = growth([each.memory for each in series])
    if grown > MEMORY:
        found.append(f"memory grew by {grown:.1f} MiB")
    if max(each.threads for each in (now, *series)) > THREADS:
        found.append(f"more than {THREADS} threads")
    if max(len(each.probes) for each in (now, *series)) > PROBES:
        found.append(f"more than {PROBES} probe processes")
    if now.descriptors > before.descriptors + DESCRIPTORS:
        found.append(f"{now.descriptors} descriptors after {before.descriptors}")
    return found


def orphans(series: list[Gauge], own: int) -> list[int]:
    """Tell the probe processes that outlived their daemon.

    Args:
        series: What was seen of all daemons.
        own: Process of the one that runs.
    """
    seen = {pid for each in series if each.pid != own for pid in each.probes}
    return sorted(pid for pid in seen if _is_probe(pid) and parent(pid) != own)


def _is_probe(pid: int) -> bool:
    return any(pid == each and WORKER_MODULE in line for each, line in processes())


def _records(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - names of ours
            for name in TABLES
        }


def too_many(descriptors: Counter[str], probes: int) -> dict[str, int]:
    """Tell which descriptors of files without a name there should not be.

    Args:
        descriptors: What is open, by name.
        probes: How many probe processes there are.
    """
    # Memory that has a descriptor never has a name, and reads as if it were deleted. Each probe
    # process has one of it; the one that is being started or ended meanwhile may have another.
    return {
        name: count
        for name, count in descriptors.items()
        if name.endswith(" (deleted)") and not (name == SIGNS and count <= probes + 1)
    }
