"""A soak from beginning to end."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator

from tests.harness.workspace import Workspace

from . import report
from .disturbances import ALL, Disturbance
from .gauges import Gauge, Gauges, look
from .images import all_samples
from .journal import Journal
from .leaks import Kept, clear, kept, leftovers, overuse
from .stand import Stand, stand
from .work import Workers

CALM = 5.0
"""Seconds between two disturbances, in which nothing may go wrong."""

ENDS = 150.0
"""Seconds within which a thread has to end: the longest call, and some."""

_SERIOUS = {"error", "fatal", "panic", "not JSON"}


def soak(workspace: Workspace, seconds: float, seed: int, version: str) -> report.Report:
    """Keep a node busy and disturb it, and look for what is wrong.

    In the first half everything is disturbed. In the second half the daemon is left alive, so
    that what it uses of the machine can be judged.

    Args:
        seconds: How long; longer if there was not yet time for every disturbance.
        seed: Decides what is chosen.
        version: Of containerd, as `script/parts` names it.
    """
    with stand(workspace, version) as node:
        journal = Journal()
        before, little = kept(node), look(node.daemon, 0.0)
        workers, gauges = Workers(node, journal, seed), Gauges(node.daemon, journal)
        done: Counter[str] = Counter()
        workers.start()
        gauges.start()
        try:
            for disturbance in plan(journal.now, seconds, seed):
                threading.Event().wait(CALM)
                with journal.trouble(disturbance.cause, disturbance.name, disturbance.images):
                    disturbance.do(node, journal)
                done[disturbance.name] += 1
            threading.Event().wait(CALM)
        finally:
            workers.stop(ENDS)
            gauges.stop()
        _show_everything(workers, journal)
        leaks = _leaks(node, journal, gauges, before, little)
        decisions = Counter(each.reason for each in node.daemon.decisions())
        for line in node.daemon.lines():
            if line.get("level") in _SERIOUS:
                journal.problem(f"the daemon logged {line}")
        return report.make(
            journal,
            seed=seed,
            version=version,
            done=done,
            decisions=decisions,
            leaks=leaks,
            series=gauges.series,
        )


def plan(now: Callable[[], float], seconds: float, seed: int) -> Iterator[Disturbance]:
    """Choose what is done next, each thing once before anything is done again.

    Args:
        now: Tells the seconds since the soak began.
        seconds: How long it is to be; the daemon is restarted in the first half alone.
        seed: Decides the order.
    """
    choices = random.Random(seed)  # noqa: S311 - no secret

    def shuffled(disturbances: list[Disturbance]) -> list[Disturbance]:
        return choices.sample(disturbances, len(disturbances))

    gentle = [each for each in ALL if not each.restarts_daemon]
    yield from shuffled([each for each in ALL if each.restarts_daemon])
    queue = waiting = shuffled(gentle)
    while now() < seconds / 2:
        queue = queue or shuffled(list(ALL))
        yield queue.pop()
    while waiting or now() < seconds:
        waiting = waiting or shuffled(gentle)
        yield waiting.pop()


def _show_everything(workers: Workers, journal: Journal) -> None:
    """Show that nothing was forgotten: every image can be pulled and has its files."""
    for sample in all_samples():
        journal.attempt("final run", sample.image.name, lambda: workers.show(sample))  # noqa: B023 - called at once


def _leaks(
    node: Stand, journal: Journal, gauges: Gauges, before: Kept, little: Gauge
) -> list[str]:
    # What a containerd was doing when it was killed, it takes away when it starts.
    node.containerd.terminate()
    node.containerd.start()
    journal.attempt("clear", "", lambda: clear(node))
    return [
        *leftovers(before, lambda: kept(node)),
        *overuse(node.daemon, gauges.series, little, journal.now()),
    ]
