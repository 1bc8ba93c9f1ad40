"""The Commit of a layer with many files beside that of an empty one."""

import attrs

from .loading import Target, in_turns
from .plan import Plan
from .results import Load
from .servers import Server, running
from .stand import DISK, Stand

SECTION = "commit"
EMPTY = "commit-empty"
FULL = "commit-full"
SECONDS = 8.0
"""The client pauses before each."""


def measure(stand: Stand, plan: Plan) -> list[Load]:
    """Measure the Commit alone, ours beside the peer, on disk with one caller."""
    if not plan.wants(SECTION):
        return []
    ours = Server.ours(stand.directory(DISK, "ours-commits"), stand.source)
    peer = Server.peer(stand.directory(DISK, "peer-commits"))
    with running(ours, peer):
        targets = [
            Target(operation, server, DISK)
            for server in (ours, peer)
            for operation in (EMPTY, FULL)
        ]
        return in_turns(stand, attrs.evolve(plan, seconds=SECONDS), SECTION, 1, targets)
