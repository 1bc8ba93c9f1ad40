"""The command line of the soak."""

# ruff: noqa: T201 - printing is its job

import argparse
import json
import os
import random
import sys
from pathlib import Path

from tests.demo.supervise import supervise
from tests.harness.containerd import overlayfs_works
from tests.harness.workspace import Workspace

from .run import soak


def main() -> int:
    """Read the arguments, run, print the report.

    Returns:
        Exit status: 0 when nothing was wrong, 1 when something was, 2 for wrong arguments, 130 or
        143 after a signal.
    """
    parser = argparse.ArgumentParser(
        prog="script/soak",
        description="Keep a real containerd and the daemon busy, break the source and restart"
        " everything meanwhile, and look for wrong files, unexpected errors and leaks.",
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--seed", type=int, help="repeat the choices of another run")
    parser.add_argument(
        "--containerd",
        choices=("1.6", "1.7", "2.1"),
        default="1.6",
        metavar="VERSION",
        help="1.6 (default), 1.7 or 2.1",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report, JSON, here")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("soak: must be run as root: it mounts file systems", file=sys.stderr)
        return 1
    seed = random.SystemRandom().getrandbits(32) if arguments.seed is None else arguments.seed

    def work(workspace: Workspace) -> int:
        if not overlayfs_works(workspace.base):
            print(f"soak: overlayfs cannot be mounted in {workspace.base}", file=sys.stderr)
            return 1
        print(f"soak: seed {seed}", flush=True)
        report = soak(workspace, arguments.minutes * 60, seed, arguments.containerd)
        print(report.to_text())
        if arguments.report is not None:
            arguments.report.write_text(json.dumps(report.to_json(), indent=1) + "\n")
        return 0 if report.good else 1

    return supervise(work, "soak")


if __name__ == "__main__":
    raise SystemExit(main())
