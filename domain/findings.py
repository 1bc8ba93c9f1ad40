"""What does not fit together: records, directories, companions, sources, containerd."""

from enum import Enum

import attrs


class Problem(Enum):
    """What is wrong; the value stands in JSON."""

    ORPHAN = "orphan-directory"
    STRANGER = "unknown-directory"
    UNUSED_COMPANION = "unused-companion"
    REMOVED = "not-cleaned-up"
    LINK = "wrong-link"
    DIRECTORY = "missing-directory"
    FILES = "lost-files"
    COMPANION = "lost-companion"
    SOURCE = "unknown-source"
    LAYER = "lost-layer"
    UNREACHABLE = "unreachable-layer"
    UNKNOWN_TO_US = "unknown-to-us"
    OTHER_PARENT = "other-parent"
    UNKNOWN_TO_CONTAINERD = "unknown-to-containerd"
    CONTAINER = "container-without-snapshot"


@attrs.frozen
class Finding:
    """One thing that does not fit.

    Attributes:
        problem: what is wrong.
        subject: what it is about: ``directory 7``, ``snapshot 'k8s.io/3/x'``.
        detail: in words, with what follows from it.
        safe: whether it can be mended without asking; it then needs no command.
        commands: what an operator can run, in this order, where it cannot.
    """

    problem: Problem
    subject: str
    detail: str
    safe: bool = False
    commands: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether it goes away by itself: Cleanup or containerd's garbage collection does it."""
        return self.problem in {Problem.REMOVED, Problem.UNKNOWN_TO_CONTAINERD}
