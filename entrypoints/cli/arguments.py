"""The commands' flags, with one dash or two, as Go's flag package takes them."""

import argparse
from collections.abc import Callable, Sequence

import attrs

from cvmfs_snapshotter import __version__

from .completion import add_completion
from .config import add_config_command
from .containerd_config import add_containerd_config
from .containerd_setup import add_containerd_setup
from .db import add_db
from .doctor import add_doctor
from .drain import add_drain
from .explain import add_explain
from .failing import PROGRAM
from .importing import add_import
from .info import add_info
from .ls import add_ls
from .reconcile import add_reconcile
from .release import add_release
from .run import add_run
from .status import add_status
from .tree import add_tree
from .wishlist import add_wishlist

COMMANDS = (
    add_run,
    add_status,
    add_ls,
    add_tree,
    add_info,
    add_doctor,
    add_explain,
    add_wishlist,
    add_release,
    add_drain,
    add_reconcile,
    add_import,
    add_config_command,
    add_containerd_config,
    add_containerd_setup,
    add_db,
    add_completion,
)
"""What adds each command to the parser, in the order in which help shows them.

Each is in the module of its command. It gives its parser a default ``act``, which is called with
the parsed arguments and gives the exit status, and which imports what help does not need.
"""

_LONG = 2

_EPILOG = """\
exit status:
  0    found, shown, done
  1    nothing found, or it could not be read or done; the reason is on standard error
  2    the flags, a filter or the configuration cannot be meant
  3    of some commands: shown, and not all is as it should be; see their help
  141  nobody reads the output any more: as of any program that SIGPIPE ends

examples:
  cvmfs-snapshotter run --config /etc/cvmfs-snapshotter/config.toml
  cvmfs-snapshotter status
  cvmfs-snapshotter explain --help
"""


@attrs.frozen
class Command:
    """A command that can be run.

    Attributes:
        act: runs it and gives the exit status.
        arguments: what it was given.
    """

    act: Callable[[argparse.Namespace], int]
    arguments: argparse.Namespace


def parse(argv: Sequence[str], *, as_daemon: bool) -> Command:
    """Read the arguments of the process.

    Args:
        argv: arguments without the program's name.
        as_daemon: run the daemon without being told to, as the Go program does.

    Returns:
        The command that they name.

    Raises:
        SystemExit: with 2, after a message on standard error, if they cannot be meant; with 0
            after help or version was asked for and printed.
    """
    arguments = [_with_two_dashes(argument) for argument in argv]
    if as_daemon and arguments[:1] != ["run"]:
        arguments.insert(0, "run")
    parser = build_parser()
    if not arguments:
        parser.print_help()
        raise SystemExit(2)
    found = parser.parse_args(arguments)
    return Command(found.act, found)


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="containerd remote snapshotter for layers that lie unpacked on CernVM-FS",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    for add in COMMANDS:
        add(commands)
    _add_version(parser)
    return parser


def _with_two_dashes(argument: str) -> str:
    # Go's flag package makes no difference, and existing units use both.
    if len(argument) > _LONG and argument[0] == "-" and argument[1] != "-":
        return "-" + argument
    return argument


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--version",
        action="version",
        version=f"{PROGRAM} {__version__}",
        help="print name and version, and exit",
    )
    # argparse has no public way to what was added.
    for action in parser._actions:  # noqa: SLF001 - see above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - see above
            for below in action.choices.values():
                _add_version(below)
