"""Why the daemon does not start."""


class StartError(Exception):
    """The daemon cannot start as things are.

    The message is for the operator: it names what is in the way and, where there is something to
    do, what.
    """


class InUseError(StartError):
    """A running daemon has what is wanted."""
