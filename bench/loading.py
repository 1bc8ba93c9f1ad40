"""Loads on several servers in turns."""

import itertools
from collections.abc import Sequence

import attrs

from . import client
from .plan import Plan
from .results import Load, median_load
from .servers import OURS, PEER, Server
from .stand import Stand

_number = itertools.count()


@attrs.frozen
class Target:
    """A server and what it is asked.

    Attributes:
        operation: As the client names it.
        server: Running.
        medium: Where its state lies.
        snapshots: How many were there when it started.
    """

    operation: str
    server: Server
    medium: str
    snapshots: int = 0


def in_turns(
    stand: Stand, plan: Plan, section: str, callers: int, targets: Sequence[Target]
) -> list[Load]:
    """Measure each target, round after round; gives a load for each.

    The order turns from round to round, so that what the machine does beside hits all alike.
    """
    found: dict[int, list[client.Measured]] = {index: [] for index in range(len(targets))}
    for turn in range(plan.rounds):
        order = list(enumerate(targets))
        for index, target in order if turn % 2 == 0 else reversed(order):
            found[index].append(_one(stand, plan, callers, target))
    loads = [
        median_load(
            found[index],
            section=section,
            operation=target.operation,
            server=target.server.name,
            medium=target.medium,
            callers=callers,
            snapshots=target.snapshots,
            rss=target.server.rss,
        )
        for index, target in enumerate(targets)
    ]
    for load in loads:
        print(
            f"  {load.operation:14} {load.medium:5} x{load.callers:<2} {load.snapshots:6} there  "
            f"{load.server:26} {load.rate:7.0f}/s  p50 {load.p50:7.0f}  p99 {load.p99:7.0f}  "
            f"cpu {load.server_cpu:6.0f} us",
            flush=True,
        )
    return loads


def _one(stand: Stand, plan: Plan, callers: int, target: Target) -> client.Measured:
    try:
        return _run(stand, plan, callers, target)
    except RuntimeError as error:
        error.add_note(target.server.log_tail())
        raise


def _run(stand: Stand, plan: Plan, callers: int, target: Target) -> client.Measured:
    server = target.server
    return client.run(
        server.socket,
        target.operation,
        server=server.pid,
        helpers=server.helpers if server.name == OURS else (),
        callers=callers,
        seconds=plan.seconds,
        warm=min(0.3, plan.seconds / 3),
        prefix=f"bench-{next(_number)}",
        snapshotter="overlayfs" if server.name == PEER else "cvmfs-snapshotter",
        layers=stand.described,
        files=server.directory / "files",
    )
