"""Cleanup beside other operations, as containerd calls it: outside of its own lock."""

import threading

from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter

from .bench import Bench

WORKERS = 4
ROUNDS = 20


class CleanupContract:
    """What a subclass with a ``bench`` must hold."""

    def test_cleanup_beside_everything_else(self, bench: Bench) -> None:
        """While others prepare, commit and remove, two Cleanups take just what was removed."""
        failures: list[BaseException] = []
        ended = threading.Event()

        def guarded(task: int) -> None:
            try:
                if task < WORKERS:
                    _work(bench, task)
                else:
                    _clean(bench.snapshotter, ended)
            except BaseException as error:  # noqa: BLE001 - reported below
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(n,)) for n in range(WORKERS + 2)]
        for thread in threads:
            thread.start()
        for thread in threads[:WORKERS]:
            thread.join()
        ended.set()
        for thread in threads[WORKERS:]:
            thread.join()

        assert [] == failures
        snapshots, tombstones, directories = bench.everything()
        expected = [f"base {n} {each}" for n in range(WORKERS) for each in range(0, ROUNDS, 4)]
        assert sorted(expected) == sorted(each.name for each in snapshots)
        assert [] == tombstones
        assert sorted(each.identifier for each in snapshots) == directories


def _work(bench: Bench, worker: int) -> None:
    """Make and remove snapshots; every fourth stays."""
    for number in range(ROUNDS):
        base, top = f"base {worker} {number}", f"top {worker} {number}"
        bench.snapshotter.prepare("unpack " + base, "", {})
        bench.snapshotter.commit(base, "unpack " + base, {}, "")
        bench.snapshotter.prepare(top, base, {})
        present = set(bench.context.directories.present())
        assert {bench.record(base).identifier, bench.record(top).identifier} <= present
        bench.snapshotter.remove(top)
        if number % 4:
            bench.snapshotter.remove(base)


def _clean(snapshotter: Snapshotter, ended: threading.Event) -> None:
    while not ended.is_set():
        snapshotter.cleanup()
    snapshotter.cleanup()
