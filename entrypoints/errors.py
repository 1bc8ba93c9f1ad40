"""Why a command fails, the daemon's among them."""

from typing import ClassVar


class CommandError(Exception):
    """A command cannot do what it should.

    The message is for the operator: it names what is in the way and, where there is something to
    do, what. It may have several lines.

    Attributes:
        status: the exit status.
    """

    status: ClassVar[int] = 1


class MeaninglessError(CommandError):
    """Arguments, or a file that they name, cannot be meant."""

    status = 2


class StartError(CommandError):
    """The daemon cannot start as things are, or a command cannot read or change its state."""


class InUseError(StartError):
    """A running daemon has what is wanted."""
