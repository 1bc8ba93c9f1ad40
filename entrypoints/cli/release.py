"""The command ``release``."""

import argparse

from .failing import fail
from .flags import Commands, add_address

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
    parser.add_argument("source", metavar="SOURCE", help="name of the source")
    parser.set_defaults(act=_release)
    return parser


def _release(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2  # noqa: PLC0415

    from .asking import SECONDS, AskError, asking  # noqa: PLC0415

    name = arguments.source
    try:
        with asking(arguments.address) as daemon:
            if arguments.hold:
                daemon.Hold(admin_pb2.HoldRequest(source=name), timeout=SECONDS)
                print(f"source {name!r} is kept mounted from now on")
                return 0
            answer = daemon.Release(admin_pb2.ReleaseRequest(source=name), timeout=SECONDS)
    except AskError as error:
        return fail(str(error), 1)
    if not answer.released:
        return fail(
            f"source {name!r} is let go of, but a process that held it hangs in the kernel and "
            "keeps it in use until the file system answers or is gone",
            1,
        )
    print(f"source {name!r} is released; containers that stand on it still keep it in use")
    return 0
