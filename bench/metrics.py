"""What metrics add to a call: the time of each thing that is done for them.

python -m bench.metrics
"""

import timeit
from collections.abc import Callable

from cvmfs_snapshotter.adapters.memory import MemoryStore
from cvmfs_snapshotter.adapters.metrics.calls import CallMeter
from cvmfs_snapshotter.adapters.metrics.events import MetricEvents
from cvmfs_snapshotter.adapters.metrics.naming import new_registry
from cvmfs_snapshotter.adapters.metrics.store import TimedStore
from cvmfs_snapshotter.domain.events import LayerDecided
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer

TIMES = 20_000
ROUNDS = 5


def _microseconds(work: Callable[[], object]) -> float:
    """Give the time of one run, the best of some rounds: others use this machine too."""
    return min(timeit.repeat(work, number=TIMES, repeat=ROUNDS)) / TIMES * 1e6


def main() -> None:
    """Measure, and print a table."""
    registry = new_registry()
    events = MetricEvents(registry, ["one"])
    calls = CallMeter(registry, [])
    plain = MemoryStore()
    timed = TimedStore(plain, registry)
    hit = Hit(Layer("one", Digest("a" * 64)), None, size=1)
    decided = LayerDecided("key", "", "target", "digest", hit, 0.001)
    read = _microseconds(lambda: timed.read(lambda _: None))
    bare = _microseconds(lambda: plain.read(lambda _: None))
    print(f"a call      {_microseconds(lambda: calls.note('/a.b/Prepare', 'OK', 0.001)):5.1f} us")
    print(f"a decision  {_microseconds(lambda: events.record(decided)):5.1f} us")
    print(f"a read      {read - bare:5.1f} us")


if __name__ == "__main__":
    main()
