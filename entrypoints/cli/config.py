"""The command ``config``."""

import argparse
import json
from collections.abc import Callable

from .failing import fail
from .flags import Commands, add_action, add_address, add_config, add_json

_EPILOG = """\
exit status:
  0  shown; for check: a daemon would start with it
  2  the flags cannot be meant, or the file cannot: each problem has a line

examples:
  cvmfs-snapshotter config show
  cvmfs-snapshotter config check --config /etc/cvmfs-snapshotter/config.toml
"""

_SHOW = """\
The output is a file that means the same, whatever the defaults become. A running daemon has what
its file said when it was read last.

exit status:
  0  shown
  2  the flags cannot be meant, or the file cannot: each problem has a line

examples:
  cvmfs-snapshotter config show --config /etc/cvmfs-snapshotter/config.toml
  cvmfs-snapshotter config show > /etc/cvmfs-snapshotter/config.toml
  cvmfs-snapshotter config show --json | jq -r '.config.source[].path'
"""

_CHECK = """\
Whether the sources are there, and containerd is told of the snapshotter, is for `doctor`.

exit status:
  0  a daemon would start with it
  2  the flags cannot be meant, or the file cannot: each problem has a line

examples:
  cvmfs-snapshotter config check --config /etc/cvmfs-snapshotter/config.toml
  cvmfs-snapshotter config check --config new.toml --json | jq -r '.problems[]'
"""


def add_config_command(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "config",
        help="show or check the daemon's configuration",
        description="Show or check the configuration of the daemon.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(metavar="action", required=True)
    _add(actions, "show", _show, "show the effective configuration, with its defaults", _SHOW)
    check = _add(actions, "check", _check, "look for every problem of a file", _CHECK)
    add_address(check)
    return parser


def _add(
    actions: Commands,
    name: str,
    act: Callable[[argparse.Namespace], int],
    summary: str,
    epilog: str,
) -> argparse.ArgumentParser:
    parser = add_action(actions, name, act, summary, epilog)
    add_config(parser)
    add_json(parser)
    return parser


def _show(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from ..config import load_config  # noqa: PLC0415
    from ..config_output import as_plain, as_toml  # noqa: PLC0415
    from ..listing.escaping import printable  # noqa: PLC0415

    config = load_config(arguments.config)
    file = arguments.config or None
    if arguments.json:
        print(json.dumps({"file": file, "config": as_plain(config)}, indent=2))
    else:
        said = (
            f"{printable(file)}, with the defaults" if file else "no file: these are the defaults"
        )
        print(f"# {said}", as_toml(config), sep="\n")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from ..clashes import clash_of  # noqa: PLC0415
    from ..config import ConfigError, load_config  # noqa: PLC0415
    from ..endpoint import plain_address  # noqa: PLC0415

    problems: list[str] = []
    try:
        clash = clash_of(plain_address(arguments.address), load_config(arguments.config))
    except ConfigError as error:
        problems = str(error).splitlines()
    else:
        problems += [f"{arguments.config}: {clash}"] if clash else []
    status = 2 if problems else 0
    if arguments.json:
        shown = {"file": arguments.config or None, "problems": problems}
        print(json.dumps(shown, indent=2))
        return status
    if problems:
        return fail("\n".join(problems), status)
    print(f"{arguments.config or 'no file: the defaults'}: no problems")
    return status
