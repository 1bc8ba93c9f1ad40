"""What reading the names of a layer costs, beside find(1) on the same tree.

The tree is warm: what a cold source adds is the source's.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from cvmfs_snapshotter.adapters.clock import SystemClock
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.domain.companions import Names
from cvmfs_snapshotter.domain.layer import Digest, Layer

from .plan import Plan
from .results import Single
from .servers import OURS
from .stand import DISK, Stand

SECTION = "scan"
NAME = "names of 20000 files in 2000 directories"
FIND = "find(1)"

DIRECTORIES = 2_000
FILES = 20_000
RUNS = 7
DIGEST = Digest("a" * 64)


def measure(stand: Stand, plan: Plan) -> list[Single]:
    """Measure in turns with find(1)."""
    if not plan.wants(SECTION):
        return []
    root = stand.directory(DISK, "scanned")
    files = _make_layer(root)
    pool = ProbePool(worker_command(WORKER_MODULE))
    source = SourceSettings("bench", SourceKind.DIRECTORY, "", str(root))
    sources = Sources([source], pool, SystemClock())

    def scan() -> None:
        names = sources.scan(Layer("bench", DIGEST), lambda _: None)
        if not isinstance(names, Names) or len(names.markers) != DIRECTORIES // 10:
            raise RuntimeError(f"the scan failed: {names}")

    def find() -> None:
        subprocess.run(["find", files, "-printf", ""], check=True)

    scan()
    times = [(_seconds(scan), _seconds(find)) for _ in range(RUNS)]
    pool.close()
    return [
        Single.of(SECTION, NAME, OURS, [ours for ours, _ in times], "s"),
        Single.of(SECTION, NAME, FIND, [peer for _, peer in times], "s"),
    ]


def _make_layer(root: Path) -> Path:
    files = root / ".layers" / DIGEST.hex[:2] / DIGEST.hex / "layerfs"
    for number in range(DIRECTORIES):
        directory = files / f"top{number % 20}" / f"d{number}"
        directory.mkdir(parents=True)
        for name in range(FILES // DIRECTORIES):
            (directory / f"f{name}").touch()
        if number % 10 == 0:
            (directory / ".wh.gone").touch()
    return files


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
