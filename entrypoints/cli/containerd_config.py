"""The command ``containerd-config``."""

import argparse
import os
from typing import TYPE_CHECKING

from ..errors import MeaninglessError
from .flags import Commands, add_address, add_root

if TYPE_CHECKING:
    from ..containerd_config.wanted import Wanted

_RELEASES = ("1.6", "1.7", "2.0", "2.1", "2.2", "2.3", "2.4")
_PULLS = ("local", "transfer")

_EPILOG = """\
exit status:
  0  printed; with --check: nothing keeps remote layers from working
  1  with --check: something does, and is named
  2  the flags cannot be meant, or the file cannot be read

examples:
  cvmfs-snapshotter containerd-config --for 2.2
  cvmfs-snapshotter containerd-config --for 2.2 --pull transfer --platform linux/arm64
  cvmfs-snapshotter containerd-config --for 1.7 --check /etc/containerd/config.toml
  cvmfs-snapshotter containerd-config --for 1.7 --check FILE --json | jq -r '.findings[].problem'
"""


def add_containerd_config(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "containerd-config",
        help="print or check containerd's configuration",
        description=(
            "Print the lines that containerd's configuration needs, or check a configuration."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--for",
        dest="release",
        required=True,
        choices=_RELEASES,
        metavar="VERSION",
        help=f"release of containerd: {', '.join(_RELEASES)}",
    )
    parser.add_argument(
        "--pull",
        choices=_PULLS,
        metavar="HOW",
        help="how the CRI pulls images: local (default), or transfer, for the transfer service of "
        "2.1 and later; a file that is checked is taken as it is if this is not given",
    )
    parser.add_argument(
        "--platform",
        metavar="OS/ARCH",
        help="platform of the machine, such as linux/arm64 (default: that of this one)",
    )
    add_address(parser)
    add_root(parser)
    parser.add_argument(
        "--check",
        metavar="FILE",
        help="check this configuration, with all that it imports, instead of printing one",
    )
    parser.add_argument(
        "--json", action="store_true", help="print what was found as JSON; needs --check"
    )
    parser.set_defaults(act=_run)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from ..containerd_config.snippet import refuse_pull, render  # noqa: PLC0415

    wanted = _wanted(arguments)
    refuse_pull(wanted.release, wanted.pull)
    if arguments.check is None:
        print(render(wanted), end="")
        return 0
    return _check(arguments.check, wanted, as_json=arguments.json)


def _wanted(arguments: argparse.Namespace) -> "Wanted":
    from ..containerd_config.platforms import (  # noqa: PLC0415
        is_platform,
        machine_platform,
        normalised,
    )
    from ..containerd_config.releases import RELEASES, Pull  # noqa: PLC0415
    from ..containerd_config.wanted import Wanted  # noqa: PLC0415

    if arguments.json and arguments.check is None:
        raise MeaninglessError("--json needs --check")
    for name in ("address", "root"):
        path: str = getattr(arguments, name)
        if not path.startswith("/") or not path.isprintable():
            raise MeaninglessError(f"--{name} {path!r}: containerd needs an absolute path")
    platform = arguments.platform
    if platform is not None and not is_platform(platform):
        raise MeaninglessError(f"--platform {platform!r}: no platform such as linux/amd64")
    return Wanted(
        RELEASES[arguments.release],
        arguments.address,
        arguments.root,
        normalised(platform) if platform else machine_platform(os.uname().machine),
        Pull(arguments.pull) if arguments.pull else None,
    )


def _check(path: str, wanted: "Wanted", *, as_json: bool) -> int:
    from ..containerd_config import output  # noqa: PLC0415
    from ..containerd_config.check import check  # noqa: PLC0415
    from ..containerd_config.reading import read  # noqa: PLC0415

    report = check(read(path, wanted.release), wanted)
    write = output.as_json if as_json else output.as_text
    print(write(path, wanted, report), end="")
    return 1 if report.findings else 0
