"""The command ``status``."""

import argparse

from .flags import Commands, add_address, add_json

NOT_UP = 3
"""Exit status if the daemon answers and a source is not up."""

_EXAMPLES = f"""\
exit status:
  0   the daemon answers, and every source is up
  1   no daemon answers
  2   the arguments cannot be meant
  {NOT_UP}   the daemon answers, and a source is not up: its layers are downloaded

examples:
  cvmfs-snapshotter status
  cvmfs-snapshotter status --json | jq '.sources[] | select(.up | not) | .name'
"""


def add_status(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "status",
        help="show how the daemon and its sources are",
        description="Show how the running daemon is: its sources, snapshots and probes.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_address(parser)
    add_json(parser)
    parser.set_defaults(act=_status)
    return parser


def _status(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2  # noqa: PLC0415

    from .asking import SECONDS, asking  # noqa: PLC0415
    from .showing import is_up, json_of, text_of  # noqa: PLC0415

    with asking(arguments.address) as daemon:
        status = daemon.Status(admin_pb2.StatusRequest(), timeout=SECONDS)
    print(json_of(status) if arguments.json else text_of(status))
    return 0 if all(is_up(source) for source in status.sources) else NOT_UP
