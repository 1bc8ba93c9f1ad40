"""Measure what reading the names of a layer costs, beside find(1) on the same tree.

Prints the medians of several runs, taken in turns, and their ratio. The tree is warm: what a cold
source adds is the source's.
"""

import statistics
import subprocess
import sys
import tempfile
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

DIRECTORIES = 2_000
FILES = 20_000
RUNS = 7
DIGEST = Digest("a" * 64)


def make_layer(root: Path) -> Path:
    """Publish a layer of ``FILES`` files in ``DIRECTORIES`` directories; gives its path."""
    files = root / ".layers" / DIGEST.hex[:2] / DIGEST.hex / "layerfs"
    for number in range(DIRECTORIES):
        directory = files / f"top{number % 20}" / f"d{number}"
        directory.mkdir(parents=True)
        for name in range(FILES // DIRECTORIES):
            (directory / f"f{name}").touch()
        if number % 10 == 0:
            (directory / ".wh.gone").touch()
    return files


def seconds(work: Callable[[], object]) -> float:
    """Time one run of something."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> int:
    """Measure and print; gives the exit status."""
    with tempfile.TemporaryDirectory() as name:
        files = make_layer(Path(name))
        pool = ProbePool(worker_command(WORKER_MODULE))
        source = SourceSettings("bench", SourceKind.DIRECTORY, "", name)
        sources = Sources([source], pool, SystemClock())

        def scan() -> None:
            names = sources.scan(Layer("bench", DIGEST), lambda _: None)
            if not isinstance(names, Names) or len(names.markers) != DIRECTORIES // 10:
                raise SystemExit(f"the scan failed: {names}")

        def find() -> None:
            subprocess.run(["find", files, "-printf", ""], check=True)

        scan()
        times = [(seconds(scan), seconds(find)) for _ in range(RUNS)]
        pool.close()
    ours, peer = (statistics.median(one) for one in zip(*times, strict=True))
    print(f"names of {FILES} files in {DIRECTORIES} directories, median of {RUNS} runs:")
    print(f"  scan in a probe process  {ours * 1000:8.1f} ms")
    print(f"  find(1)                  {peer * 1000:8.1f} ms")
    print(f"  ratio                    {ours / peer:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
