"""Flags that several commands take, with the Go program's names and defaults."""

import argparse
from typing import TypeAlias

from cvmfs_snapshotter.adapters.logs.levels import LEVELS, threshold

DEFAULT_ADDRESS = "/run/containerd-cvmfs-grpc/containerd-cvmfs-grpc.sock"
DEFAULT_ROOT = "/var/lib/containerd-cvmfs-grpc"
DEFAULT_CONTAINERD_ROOT = "/var/lib/containerd"
DEFAULT_SNAPSHOTTER = "cvmfs-snapshotter"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
"""What a command is added to."""


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


def _level(text: str) -> int:
    level = threshold(text)
    if level is None:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(LEVELS)}")
    return level
