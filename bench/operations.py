"""Every operation at several numbers of callers, ours beside the peer and the floor."""

from .loading import Target, in_turns
from .plan import Plan
from .results import Load
from .servers import Server, running
from .stand import Stand

SECTION = "operations"

GROUPS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("prepare-commit", "ours"),
        ("remote", "ours"),
        ("prepare-commit", "peer"),
        ("two-calls", "alike"),
        ("three-calls", "alike"),
    ),
    (("prepare-remove", "ours"), ("prepare-remove", "peer")),
    (("view-remove", "ours"), ("view-remove", "peer")),
    (("stat", "ours"), ("stat", "peer"), ("stat", "floor"), ("stat", "alike")),
    (
        ("mounts", "ours"),
        ("mounts-remote", "ours"),
        ("mounts", "peer"),
        ("mounts", "floor"),
        ("mounts", "alike"),
    ),
    (("usage", "ours"), ("usage", "peer"), ("usage", "floor"), ("usage", "alike")),
)
"""What is measured in turns: operation and server. A remote layer stands beside what the peer does
for a layer that it unpacks; two and three empty calls tell what the server's gRPC leaves of it."""


def measure(stand: Stand, plan: Plan) -> list[Load]:
    """Measure what the plan asks for."""
    loads: list[Load] = []
    groups = [group for group in GROUPS if plan.wants(SECTION, *(name for name, _ in group))]
    if not groups:
        return loads
    for medium in plan.media:
        servers = {
            "ours": Server.ours(stand.directory(medium, "ours"), stand.source),
            "peer": Server.peer(stand.directory(medium, "peer")),
            "floor": Server.floor(stand.directory(medium, "floor")),
            "alike": Server.served_alike(stand.directory(medium, "alike")),
        }
        with running(*servers.values()):
            for group in groups:
                targets = [Target(operation, servers[who], medium) for operation, who in group]
                for callers in plan.callers:
                    loads += in_turns(stand, plan, SECTION, callers, targets)
    return loads
