"""What can go wrong in the file system, in words that its server and the tests share."""

import errno
from enum import Enum
from typing import Self

import attrs


class Operation(Enum):
    """What the kernel asks of the file system.

    libfuse's interface has one call for a look-up by name and for the attributes of something that
    was looked up before. As long as the kernel keeps what it is told, it asks for the latter of
    the root alone, since a look-up gives all others'; so that is how the two are told apart.
    """

    GETATTR = "getattr"
    LOOKUP = "lookup"
    OPENDIR = "opendir"
    READDIR = "readdir"
    OPEN = "open"
    READ = "read"
    READLINK = "readlink"
    GETXATTR = "getxattr"
    STATFS = "statfs"


ALL = frozenset(Operation)

EVERYTHING_BUT_THE_ROOT = ALL - {Operation.GETATTR, Operation.GETXATTR, Operation.STATFS}
"""What a client cannot answer from its own memory."""


@attrs.frozen
class Fault:
    """A fault of some operations. It holds until it is taken away.

    Attributes:
        operations: Which ones.
        below: Only those on this path of the file system, or on one below it.
        delay: Seconds that they take longer.
        error: Number of the error that they end with; 0 for none.
        hangs: Whether they get no answer as long as the fault holds.
        cold: Whether it concerns only what would have to be downloaded: of names, those in a
            catalog that has not been used yet; of files, those not read yet.
    """

    operations: frozenset[Operation] = ALL
    below: str = "/"
    delay: float = 0.0
    error: int = 0
    hangs: bool = False
    cold: bool = False

    def concerns(self, operation: Operation, path: str, *, cold: bool) -> bool:
        """Tell whether an operation on a path meets the fault.

        Args:
            cold: Whether a download would be needed for it.
        """
        inside = path == self.below or path.startswith(self.below.rstrip("/") + "/")
        return operation in self.operations and inside and (cold or not self.cold)

    def to_json(self) -> dict[str, object]:
        """Spell it for the server."""
        return attrs.asdict(self) | {"operations": [each.value for each in self.operations]}

    @classmethod
    def from_json(cls, spelled: dict[str, object]) -> Self:
        """Read what `to_json` spelled."""
        names = spelled["operations"]
        if not isinstance(names, list):
            raise TypeError("no list of operations")
        return cls(**spelled | {"operations": frozenset(map(Operation, names))})  # type: ignore[arg-type]


def fails(number: int, *operations: Operation, below: str = "/") -> Fault:
    """Make some operations, or all, fail with an error."""
    return Fault(frozenset(operations) or ALL, below, error=number)


def takes(seconds: float, *operations: Operation, below: str = "/") -> Fault:
    """Make some operations, or all, take longer."""
    return Fault(frozenset(operations) or ALL, below, delay=seconds)


def hangs(*operations: Operation, below: str = "/") -> Fault:
    """Make some operations, or all, hang for ever: until the fault is taken away."""
    return Fault(frozenset(operations) or ALL, below, hangs=True)


OUT_OF_REACH = Fault(EVERYTHING_BUT_THE_ROOT, error=errno.EIO, cold=True)
"""No server answers: what was downloaded before is served, also the root and its attributes, and
all else is EIO, names that were never published too."""


def attributes_denied(number: int) -> Fault:
    """Make the client protect its attributes, with EPERM or ENODATA."""
    return fails(number, Operation.GETXATTR)
