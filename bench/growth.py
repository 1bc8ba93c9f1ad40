"""What an operation costs with more and more snapshots there, and a listing of 10,000."""

import attrs

from . import filling
from .loading import Target, in_turns
from .plan import Plan
from .results import Load
from .servers import Server, running
from .stand import DISK, TMPFS, Stand

SECTION = "growth"
LISTING = "list"
LISTED = 10_000
SECONDS_PER_CALLER = 0.8
"""How long at least a listing is measured: with many callers one takes seconds."""

OPERATIONS = ("remote", "prepare-commit", "prepare-remove", "stat", "mounts")
"""What is measured on disk with one caller at every size."""


def measure(stand: Stand, plan: Plan) -> list[Load]:
    """Measure daemons of several sizes in turns."""
    loads: list[Load] = []
    if not plan.wants(SECTION):
        return loads
    servers = [(size, filling.with_remote_layers(stand, size)) for size in plan.sizes]
    with running(*(server for _, server in servers)):
        for operation in OPERATIONS:
            targets = [Target(operation, server, DISK, size) for size, server in servers]
            loads += in_turns(stand, plan, SECTION, 1, targets)
    return loads


def measure_listing(stand: Stand, plan: Plan) -> list[Load]:
    """Measure a List of 10,000 snapshots, ours beside the peer, which unpacked the same."""
    loads: list[Load] = []
    if not plan.wants(LISTING):
        return loads
    ours = Server.ours(stand.directory(TMPFS, "ours-listed"), stand.source)
    peer = Server.peer(stand.directory(TMPFS, "peer-listed"))
    with running(ours, peer):
        for server in (ours, peer):
            filling.with_local_layers(server, LISTED)
        targets = [Target("list", server, TMPFS, LISTED) for server in (ours, peer)]
        for callers in plan.callers:
            seconds = max(plan.seconds, SECONDS_PER_CALLER * callers)
            longer = attrs.evolve(plan, seconds=seconds)
            loads += in_turns(stand, longer, LISTING, callers, targets)
    return loads
