"""The command ``drain``."""

import argparse
import json
import os
from typing import TYPE_CHECKING

from .failing import fail
from .flags import Commands, add_containerd_root, add_json, add_root, add_snapshotter, text

if TYPE_CHECKING:
    from ..draining import Download, DrainPlan

NEEDED = 3
"""Exit status if something stands on a source."""

_EPILOG = f"""\
exit status:
  0  nothing stands on a source: the snapshotter can be switched off
  1  the records cannot be read
  2  the flags cannot be meant
  {NEEDED}  something stands on a source, and is named

Nothing is changed. What containerd took from a source it has no content of, so that another
snapshotter cannot unpack such an image ("content digest not found"): it must be pulled again, and
its containers made anew. In a cluster drain the node first (kubectl drain), which removes them.

the way out:
  1. cvmfs-snapshotter drain --plan > plan; remove the containers that it names
  2. set another snapshotter in containerd's configuration, and restart containerd
  3. pull the images that it names
  4. cvmfs-snapshotter drain --plan; if it ends with 0, stop the daemon

examples:
  cvmfs-snapshotter drain --plan
  cvmfs-snapshotter drain --plan --json | jq -r '.images[].command'
"""


def add_drain(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "drain",
        help="tell what stands on a source, before the snapshotter is switched off",
        description="Tell which containers and images stand on a source, and how to free them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_root(parser)
    add_containerd_root(parser)
    add_snapshotter(parser)
    parser.add_argument(
        "--plan", action="store_true", required=True, help="tell it; draining itself is yours"
    )
    parser.add_argument(
        "--to",
        type=text,
        default="overlayfs",
        metavar="NAME",
        help="the snapshotter to use then (default: %(default)s)",
    )
    add_json(parser)
    parser.set_defaults(act=_drain)
    return parser


def _drain(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from ..containerd_config.platforms import machine_platform  # noqa: PLC0415
    from ..draining import plan  # noqa: PLC0415

    if arguments.to == arguments.snapshotter:
        return fail(f"--to {arguments.to}: that is the one to be switched off", 2)
    platform = machine_platform(os.uname().machine)
    found = plan(arguments.root, arguments.containerd_root, arguments.snapshotter, platform)
    if arguments.json:
        print(json.dumps(_plain(found, arguments.to), indent=2))
    else:
        _show(found, arguments.to)
    return NEEDED if found.dependents.containers or found.dependents.images else 0


def _plain(found: "DrainPlan", to: str) -> dict[str, object]:
    return {
        "containers": [
            {
                "namespace": one.container.namespace,
                "container": one.container.identifier,
                "remote_snapshots": one.remote,
                "command": one.command,
            }
            for one in found.dependents.containers
        ],
        "images": [
            {
                "namespace": one.image.namespace,
                "image": one.image.name,
                "remote_snapshots": one.image.remote,
                "missing_layers": one.layers,
                "missing_bytes": one.size,
                "command": one.image.command(to),
            }
            for one in found.downloads
        ],
        "unknown_to_containerd": found.dependents.unknown,
    }


def _show(found: "DrainPlan", to: str) -> None:
    if found.dependents.containers:
        print("containers that stand on a source, to be made anew:")
    for one in found.dependents.containers:
        where = f"{one.container.namespace} {one.container.identifier}"
        print(f"  {where}: {one.remote} of its snapshots\n    {one.command}")
    if found.downloads:
        print(f"images that stand on a source, to be pulled for {to}:")
    for download in found.downloads:
        image = download.image
        print(f"  {image.namespace} {image.name}: {_missing(download)}\n    {image.command(to)}")
    if found.dependents.unknown:
        print(
            f"snapshots on a source that containerd does not know: {found.dependents.unknown}; "
            "cvmfs-snapshotter reconcile tells more"
        )
    if not found.dependents.containers and not found.downloads:
        print("nothing stands on a source")


def _missing(download: "Download") -> str:
    from ..recipe import in_bytes  # noqa: PLC0415 - would delay help

    if download.layers is None:
        return f"{download.image.remote} of its snapshots; what it lacks is not known"
    size = f", {in_bytes(download.size)}" if download.size is not None else ""
    return f"missing layers: {download.layers}{size}"
