"""Flags that several commands take, with the Go program's names and defaults."""

import argparse
from collections.abc import Callable
from typing import TypeAlias

from cvmfs_snapshotter.adapters.logs.levels import LEVELS, threshold

DEFAULT_ADDRESS = "/run/containerd-cvmfs-grpc/containerd-cvmfs-grpc.sock"
DEFAULT_ROOT = "/var/lib/containerd-cvmfs-grpc"
DEFAULT_CONTAINERD_ROOT = "/var/lib/containerd"
DEFAULT_SNAPSHOTTER = "cvmfs-snapshotter"
MOST_PATIENCE = 3600.0

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
"""What a command is added to."""


def add_action(
    actions: Commands,
    name: str,
    act: Callable[[argparse.Namespace], int],
    summary: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """Add one of several things that a command does; its flags are added to what is returned.

    Args:
        actions: of the command.
        name: as it is typed.
        act: does it and gives the exit status.
        summary: what it does, without a capital and a full stop.
        epilog: exit statuses and examples.
    """
    parser = actions.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(act=act)
    return parser


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add ``--address``, the daemon's socket."""
    parser.add_argument(
        "--address",
        type=_address,
        default=DEFAULT_ADDRESS,
        metavar="PATH",
        help="unix socket of the daemon (default: %(default)s)",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``, the configuration file; empty for none."""
    parser.add_argument(
        "--config", default="", metavar="PATH", help="configuration file, TOML (default: none)"
    )


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """Add ``--log-level``, in the numbers of Python's ``logging``; None if it is not given."""
    parser.add_argument(
        "--log-level",
        type=_level,
        metavar="LEVEL",
        help=f"{', '.join(LEVELS)} (default: log_level of the configuration file, or info)",
    )


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--root``, the state directory."""
    parser.add_argument(
        "--root",
        default=DEFAULT_ROOT,
        metavar="PATH",
        help="state directory (default: %(default)s)",
    )


def add_containerd_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--containerd-root``, where containerd keeps what it knows."""
    parser.add_argument(
        "--containerd-root",
        default=DEFAULT_CONTAINERD_ROOT,
        metavar="PATH",
        help="containerd's root directory (default: %(default)s)",
    )


def add_snapshotter(parser: argparse.ArgumentParser) -> None:
    """Add ``--snapshotter``, our name in containerd's configuration."""
    parser.add_argument(
        "--snapshotter",
        type=text,
        default=DEFAULT_SNAPSHOTTER,
        metavar="NAME",
        help="name of the proxy plugin in containerd's configuration (default: %(default)s)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_patience(parser: argparse.ArgumentParser, default: float) -> None:
    """Add ``--patience``, how long a source may take, in seconds."""
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=default,
        metavar="SECONDS",
        help="how long a source may take for one layer (default: %(default)s)",
    )


def text(argument: str) -> str:
    """Take a name, or what else ends up in a message or a query: it has to be text.

    Args:
        argument: as Python has it, with a lone surrogate for each byte that cannot be decoded.

    Raises:
        argparse.ArgumentTypeError: it is in another encoding.
    """
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{argument!r} is not UTF-8") from None
    return argument


def _address(text: str) -> str:
    for prefix in ("unix://", "unix:"):
        if text.startswith(prefix):
            return text.removeprefix(prefix)
    return text


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.0 < seconds <= MOST_PATIENCE:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and {MOST_PATIENCE:.0f}")
    return seconds


def _level(text: str) -> int:
    level = threshold(text)
    if level is None:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(LEVELS)}")
    return level
