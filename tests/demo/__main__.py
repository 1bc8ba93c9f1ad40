"""The command line of the demonstration."""

# ruff: noqa: T201 - printing is its job

import argparse
import os
import sys
from pathlib import Path

from tests.demo import own, real
from tests.demo.supervise import supervise
from tests.harness.containerd import overlayfs_works
from tests.harness.workspace import Workspace


def main() -> int:
    """Read the arguments, check the machine, run.

    Returns:
        Exit status: 0 when all was as it should be, 1 when not, 2 for wrong arguments, 130 or 143
        after a signal.
    """
    parser = argparse.ArgumentParser(
        prog="script/demo",
        description="Show the snapshotter at work with a real containerd: without options with"
        " images, a registry and a tree of its own, which are checked; with --layers and --image"
        " with a real repository.",
    )
    parser.add_argument(
        "--layers",
        type=Path,
        metavar="PATH",
        help="root of a tree with unpacked layers, such as /cvmfs/unpacked.cern.ch",
    )
    parser.add_argument("--image", metavar="REF", help="reference of an image in a registry")
    parser.add_argument(
        "--command", metavar="COMMAND", help="what to run in a container of the image, by its sh"
    )
    arguments = parser.parse_args()

    if (arguments.layers is None) != (arguments.image is None):
        parser.error("--layers and --image need each other")
    if arguments.command is not None and arguments.image is None:
        parser.error("--command needs --image")
    if arguments.layers is not None and not (arguments.layers / ".layers").is_dir():
        parser.error(
            f"{arguments.layers} has no directory .layers, where unpacked layers would be"
        )
    if os.geteuid() != 0:
        print("demo: must be run as root: it mounts file systems", file=sys.stderr)
        return 1

    def work(workspace: Workspace) -> int:
        if not overlayfs_works(workspace.base):
            print(f"demo: overlayfs cannot be mounted in {workspace.base}", file=sys.stderr)
            return 1
        if arguments.image is None:
            return own.show(workspace)
        return real.show(workspace, arguments.layers, arguments.image, arguments.command)

    return supervise(work)


if __name__ == "__main__":
    raise SystemExit(main())
