"""How a command says that it failed."""

import sys

PROGRAM = "cvmfs-snapshotter"


def fail(message: str, status: int) -> int:
    """Print a message on standard error, each line behind the program's name.

    Args:
        message: what is wrong and what to do.
        status: the exit status.

    Returns:
        That status.
    """
    for line in message.splitlines():
        print(f"{PROGRAM}: {line}", file=sys.stderr)
    return status
