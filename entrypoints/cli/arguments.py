"""Flags, with one dash or two, as Go's flag package takes them."""

import argparse
from collections.abc import Sequence

import attrs

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.adapters.logs.levels import LEVELS, threshold

DEFAULT_ADDRESS = "/run/containerd-cvmfs-grpc/containerd-cvmfs-grpc.sock"
DEFAULT_ROOT = "/var/lib/containerd-cvmfs-grpc"
DEFAULT_LOG_LEVEL = "info"

PROGRAM = "cvmfs-snapshotter"

_LONG = 2


@attrs.frozen
class RunOptions:
    """What the daemon is started with.

    Attributes:
        address: path of the socket.
        config: path of the configuration file; empty for none.
        log_level: threshold, in the numbers of Python's ``logging``.
        root: path of the state directory.
        fresh: start with empty records beside the state of the Go program.
    """

    address: str
    config: str
    log_level: int
    root: str
    fresh: bool


def parse(argv: Sequence[str], *, as_daemon: bool) -> RunOptions:
    """Read the arguments of the process.

    Args:
        argv: arguments without the program's name.
        as_daemon: run the daemon without being told to, as the Go program does.

    Returns:
        The options of the one command there is, ``run``.

    Raises:
        SystemExit: with 2, after a message on standard error, if they cannot be meant; with 0
            after help or version was asked for and printed.
    """
    arguments = [_with_two_dashes(argument) for argument in argv]
    if as_daemon and arguments[:1] != ["run"]:
        arguments.insert(0, "run")
    parser = _parser()
    if not arguments:
        parser.print_help()
        raise SystemExit(2)
    found = parser.parse_args(arguments)
    return RunOptions(
        address=found.address,
        config=found.config,
        log_level=found.log_level,
        root=found.root,
        fresh=found.fresh,
    )


def _with_two_dashes(argument: str) -> str:
    # Go's flag package makes no difference, and existing units use both.
    if len(argument) > _LONG and argument[0] == "-" and argument[1] != "-":
        return "-" + argument
    return argument


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="containerd remote snapshotter for layers that lie unpacked on CernVM-FS",
        allow_abbrev=False,
    )
    _add_version(parser)
    commands = parser.add_subparsers(metavar="command", required=True)
    run = commands.add_parser(
        "run",
        help="run the daemon",
        description="Run the daemon. Flags may have one dash or two.",
        allow_abbrev=False,
    )
    run.add_argument(
        "--address",
        type=_address,
        default=DEFAULT_ADDRESS,
        metavar="PATH",
        help="unix socket to serve on (default: %(default)s)",
    )
    run.add_argument(
        "--config", default="", metavar="PATH", help="configuration file, TOML (default: none)"
    )
    run.add_argument(
        "--log-level",
        type=_level,
        default=DEFAULT_LOG_LEVEL,
        metavar="LEVEL",
        help=f"{', '.join(LEVELS)} (default: %(default)s)",
    )
    run.add_argument(
        "--root",
        default=DEFAULT_ROOT,
        metavar="PATH",
        help="state directory (default: %(default)s)",
    )
    run.add_argument(
        "--fresh",
        action="store_true",
        help="start with empty records beside the Go program's state; nothing of it is touched",
    )
    _add_version(run)
    return parser


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--version",
        action="version",
        version=f"{PROGRAM} {__version__}",
        help="print name and version, and exit",
    )


def _address(text: str) -> str:
    for prefix in ("unix://", "unix:"):
        if text.startswith(prefix):
            return text.removeprefix(prefix)
    return text


def _level(text: str) -> int:
    level = threshold(text)
    if level is None:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(LEVELS)}")
    return level
