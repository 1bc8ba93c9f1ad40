"""The command ``run``."""

import sys

from cvmfs_snapshotter.adapters.logs.logger import adopt_libraries, open_log

from ..config import ConfigError, load_config
from ..errors import StartError
from .arguments import PROGRAM, RunOptions


def run(options: RunOptions) -> int:
    """Run the daemon until it is told to stop.

    Args:
        options: the flags.

    Returns:
        Exit status: 0 after it was stopped, 1 if it could not start, 2 if its configuration cannot
        be meant.
    """
    try:
        config = load_config(options.config)
    except ConfigError as error:
        return _refuse(str(error), 2)
    from ..daemon import run_daemon  # noqa: PLC0415 - a bad configuration shows without the rest

    log = open_log(options.log_level)
    adopt_libraries(log.logger)
    try:
        return run_daemon(options.root, options.address, config, log, fresh=options.fresh)
    except StartError as error:
        return _refuse(str(error), 1)
    finally:
        log.flush()


def _refuse(message: str, status: int) -> int:
    for line in message.splitlines():
        print(f"{PROGRAM}: {line}", file=sys.stderr)
    return status
