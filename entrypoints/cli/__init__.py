"""The commands. What a command does not need is not imported, so that help comes at once."""

import os
import sys
from collections.abc import Sequence

from ..errors import CommandError
from .arguments import parse
from .ending import ended
from .failing import fail

GO_NAME = "cvmfs_snapshotter"
"""Name of the Go program. Under it the daemon is run without a command's name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: arguments without the program's name; those of the process if None.

    Returns:
        Exit status: 0 for success, 1 for a failure, 2 for arguments or a configuration that cannot
        be meant, 141 if nobody reads the output; commands may have others, which their help tells.
    """
    program = os.path.basename(sys.argv[0])  # noqa: PTH119 - pathlib costs more than all the rest
    given = list(sys.argv[1:] if argv is None else argv)
    return ended(lambda: _run(given, as_daemon=program == GO_NAME))


def _run(given: Sequence[str], *, as_daemon: bool) -> int:
    command = parse(given, as_daemon=as_daemon)
    try:
        return command.act(command.arguments)
    except CommandError as error:
        return fail(str(error), error.status)
