"""The command ``reconcile``."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from .flags import (
    Commands,
    add_config,
    add_containerd_root,
    add_json,
    add_patience,
    add_root,
    add_snapshotter,
)

if TYPE_CHECKING:
    from cvmfs_snapshotter.domain.findings import Finding

    from ..reconciling import Compared

DEFAULT_PATIENCE = 10.0

NOT_ALL = 3
"""Exit status if what was compared fits, and containerd's records were not compared."""

_EPILOG = f"""\
exit status:
  0  everything fits, but for what Cleanup or containerd's garbage collection will remove
  1  something does not fit, or nothing could be compared
  2  the flags or the configuration cannot be meant
  {NOT_ALL}  what was compared fits, but containerd's records could not be read

examples:
  cvmfs-snapshotter reconcile --config /etc/cvmfs-snapshotter/config.toml
  systemctl stop cvmfs-snapshotter
  cvmfs-snapshotter reconcile --config /etc/cvmfs-snapshotter/config.toml --apply
  cvmfs-snapshotter reconcile --config FILE --json | jq -r '.findings[].commands[]'
"""


def add_reconcile(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "reconcile",
        help="compare records, directories, sources and containerd; mend what is safe",
        description=(
            "Compare the records with the directories, the companions, the sources and with what "
            "containerd has recorded, and name everything that does not fit. Nothing is changed "
            "without --apply, which needs the daemon to be stopped; containers go on meanwhile. "
            "What cannot be mended safely is named with the commands that an operator can run."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_config(parser)
    add_root(parser)
    parser.add_argument(
        "--apply",
        action="store_true",
        help="mend links, directories that held nothing, companions, leftovers",
    )
    add_containerd_root(parser)
    add_snapshotter(parser)
    add_patience(parser, DEFAULT_PATIENCE)
    add_json(parser)
    parser.set_defaults(act=_reconcile)
    return parser


def _reconcile(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from cvmfs_snapshotter.adapters.logs.levels import LEVELS  # noqa: PLC0415
    from cvmfs_snapshotter.adapters.logs.logger import open_log  # noqa: PLC0415

    from ..config import load_config  # noqa: PLC0415
    from ..reconciling import Wanted, compare, mend  # noqa: PLC0415

    config = load_config(arguments.config)
    wanted = Wanted(
        arguments.root,
        config,
        arguments.containerd_root,
        arguments.snapshotter,
        arguments.patience,
    )
    log = open_log(LEVELS["error"])
    try:
        compared = (mend if arguments.apply else compare)(wanted, log.logger)
    finally:
        log.flush()
    if arguments.json:
        print(json.dumps(_plain(compared), indent=2))
    else:
        _show(compared)
    if any(not finding.passes for finding in compared.findings):
        return 1
    return NOT_ALL if compared.containerd else 0


def _plain(compared: "Compared") -> dict[str, object]:
    return {
        "findings": [
            {
                "problem": finding.problem.value,
                "subject": finding.subject,
                "detail": finding.detail,
                "safe": finding.safe,
                "passes": finding.passes,
                "commands": list(finding.commands),
            }
            for finding in compared.findings
        ],
        "containerd": {
            "compared": not compared.containerd,
            "detail": compared.containerd or None,
        },
    }


def _show(compared: "Compared") -> None:
    if compared.containerd:
        print(f"containerd's records were not compared: {compared.containerd}", file=sys.stderr)
    for finding in compared.findings:
        print(f"{finding.subject}: {finding.detail} ({finding.problem.value}){_way(finding)}")
        for command in finding.commands:
            print(f"    {command}")
    if not compared.findings:
        print(f"everything {'that was compared ' if compared.containerd else ''}fits")


def _way(finding: "Finding") -> str:
    if finding.safe and not finding.passes:
        return "; reconcile --apply mends it"
    return "; to be done by hand:" if finding.commands else ""
