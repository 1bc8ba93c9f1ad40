"""The command ``run``."""

import argparse
import faulthandler
import signal

from .ending import stop_watching
from .flags import Commands, add_address, add_config, add_log_level, add_root

_EPILOG = """\
SIGTERM and SIGINT end it, SIGHUP makes it read the configuration again, SIGUSR2 switches debug
lines on and off. Whatever ends it, nothing is deleted, and running containers go on.

exit status:
  0  it was told to end
  1  it cannot start as things are: each reason has a line
  2  the flags cannot be meant, or the configuration cannot: each problem has a line

examples:
  cvmfs-snapshotter run --config /etc/cvmfs-snapshotter/config.toml
  cvmfs-snapshotter run --log-level debug
  cvmfs-snapshotter run --root /var/lib/other --address /run/other/other.sock
"""


def add_run(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "run",
        help="run the daemon",
        description="Run the daemon. Flags may have one dash or two.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_address(parser)
    add_config(parser)
    add_log_level(parser)
    add_root(parser)
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="start with empty records beside the Go program's state; nothing of it is touched",
    )
    parser.set_defaults(act=_run)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    # A reload that comes before the daemon can do it must not end it.
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    # Whatever is imported here would delay help.
    from cvmfs_snapshotter.adapters.logs.logger import (  # noqa: PLC0415
        adopt_libraries,
        open_log,
    )

    from ..config import load_config  # noqa: PLC0415

    stop_watching()
    config = load_config(arguments.config)
    # A bad configuration shows without the rest.
    from ..daemon import run_daemon  # noqa: PLC0415
    from ..reloading import CommandLine  # noqa: PLC0415

    # The service manager's watchdog ends a daemon that hangs with SIGABRT: where each thread stood
    # is then on standard error.
    faulthandler.enable(2)
    said = CommandLine(arguments.config, arguments.log_level)
    log = open_log(said.level(config))
    adopt_libraries(log.logger)
    try:
        return run_daemon(
            arguments.root, arguments.address, config, log, fresh=arguments.fresh, said=said
        )
    finally:
        log.flush()
