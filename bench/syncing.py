"""How long the disk takes to make a write durable: what decides the rates of all that write."""

import os
import statistics
import time
from pathlib import Path

from .plan import Plan
from .results import Single
from .stand import DISK, Stand

SECTION = "sync"
NAME = "fdatasync of 4 KiB more in a file"
TIMES = 100


def measure(stand: Stand, plan: Plan) -> list[Single]:
    """Time so many syncs of the disk, one after the other; gives the deciles' middle and ends."""
    if DISK not in plan.media:
        return []
    deciles = statistics.quantiles(_seconds(stand.directory(DISK, "synced")), n=10)
    chosen = [1000 * deciles[place] for place in (0, 4, 8)]
    return [Single.of(SECTION, NAME, DISK, chosen, "ms")]


def _seconds(file: Path) -> list[float]:
    found = []
    with file.open("wb", buffering=0) as opened:
        for _ in range(TIMES):
            opened.write(bytes(4096))
            started = time.perf_counter()
            os.fdatasync(opened.fileno())
            found.append(time.perf_counter() - started)
    return found
