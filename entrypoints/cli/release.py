"""The command ``release``."""

import argparse
import json

from .failing import fail
from .flags import Commands, add_address, add_json, text

_EXAMPLES = """\
The daemon holds the root of each source open, so that an automounter does not let it expire. That
keeps it from being unmounted. After a release it is held again with --hold, or after a restart of
the daemon unless keep_mounted = false is configured.

exit status:
  0   done
  1   no daemon answers, there is no such source, or it is still in use
  2   the arguments cannot be meant

examples:
  cvmfs-snapshotter release unpacked && umount /cvmfs/unpacked.cern.ch
  cvmfs-snapshotter release unpacked --hold
  cvmfs-snapshotter release unpacked --json | jq .released
"""


def add_release(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "release",
        help="let a source be unmounted",
        description="Let go of a source, so that it can be unmounted, or hold it again.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_address(parser)
    parser.add_argument("--hold", action="store_true", help="hold it again instead")
    add_json(parser)
    parser.add_argument("source", type=text, metavar="SOURCE", help="name of the source")
    parser.set_defaults(act=_release)
    return parser


def _release(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2  # noqa: PLC0415

    from .asking import SECONDS, asking  # noqa: PLC0415

    name = arguments.source
    released: bool | None = None
    with asking(arguments.address) as daemon:
        if arguments.hold:
            daemon.Hold(admin_pb2.HoldRequest(source=name), timeout=SECONDS)
        else:
            answer = daemon.Release(admin_pb2.ReleaseRequest(source=name), timeout=SECONDS)
            released = answer.released
    if arguments.json:
        print(json.dumps({"source": name, "held": arguments.hold, "released": bool(released)}))
    elif released is None:
        print(f"source {name!r} is kept mounted from now on")
    elif released:
        print(f"source {name!r} is released; containers that stand on it still keep it in use")
    else:
        return fail(
            f"source {name!r} is let go of, but a process that held it hangs in the kernel and "
            "keeps it in use until the file system answers or is gone",
            1,
        )
    return int(released is False)
