"""The command ``explain``."""

import argparse
import os

from .flags import (
    Commands,
    add_address,
    add_config,
    add_containerd_root,
    add_json,
    add_root,
    add_snapshotter,
    text,
)

INCOMPLETE = 3
"""Exit status if something would be downloaded, or was."""

_SECONDS = 2.0

_EPILOG = f"""\
exit status:
  0  all of it comes from a source
  1  it cannot be explained: there is no such thing here
  2  the flags or the configuration cannot be meant
  {INCOMPLETE}  something of it would be downloaded, or was

Nothing is downloaded and no registry is asked: the layers of an image are known from containerd,
or from the manifest that its publisher keeps. Sources are looked at by processes of their own: one
that hangs delays the answer by its deadline once.

examples:
  cvmfs-snapshotter explain docker.io/library/busybox:1.36
  cvmfs-snapshotter explain sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945
  cvmfs-snapshotter explain "$(crictl ps -q --latest)"
  cvmfs-snapshotter explain busybox --json | jq '.layers[] | select(.source == null) | .digest'
"""


def add_explain(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "explain",
        help="tell layer by layer why something comes from a source, or does not",
        description=(
            "Tell layer by layer why an image, a layer or a snapshot comes from a source, or why "
            "not: what each source says about it now, and what the daemon has recorded."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_address(parser)
    add_config(parser)
    add_root(parser)
    add_containerd_root(parser)
    add_snapshotter(parser)
    add_json(parser)
    parser.add_argument(
        "what",
        type=text,
        metavar="IMAGE|DIGEST|KEY",
        help="name of an image; digest of a manifest or of a compressed layer; key or name of a "
        "snapshot, or identifier of a container",
    )
    parser.set_defaults(act=_explain)
    return parser


def _explain(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from cvmfs_snapshotter.adapters.bolt import ContainerdError  # noqa: PLC0415
    from cvmfs_snapshotter.adapters.clock import SystemClock  # noqa: PLC0415
    from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE  # noqa: PLC0415
    from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command  # noqa: PLC0415

    from ..config import load_config  # noqa: PLC0415
    from ..containerd_config.platforms import machine_platform  # noqa: PLC0415
    from ..explain.explaining import Explainer, Place, UnknownError  # noqa: PLC0415
    from ..explain.output import as_json, as_text  # noqa: PLC0415

    config = load_config(arguments.config)
    place = Place(
        arguments.root,
        config,
        arguments.containerd_root,
        arguments.snapshotter,
        machine_platform(os.uname().machine),
        _circuits(arguments.address),
    )
    probes = ProbePool(worker_command(WORKER_MODULE))
    try:
        found = Explainer(place, probes, SystemClock()).explain(arguments.what)
    except ContainerdError as error:
        raise UnknownError(str(error)) from error
    finally:
        # A probe that hangs in the kernel is not waited for.
        probes.close(0.5)
    print(as_json(found) if arguments.json else as_text(found))
    return 0 if found.complete else INCOMPLETE


def _circuits(address: str) -> dict[str, str]:
    from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2  # noqa: PLC0415

    from .asking import AskError, asking  # noqa: PLC0415

    try:
        with asking(address) as daemon:
            status = daemon.Status(admin_pb2.StatusRequest(), timeout=_SECONDS)
    except AskError:
        # Without a daemon there is no circuit that could be open.
        return {}
    closed = admin_pb2.Circuit.STATE_CLOSED
    return {
        source.name: f"circuit: {source.circuit.cause.reason}: {source.circuit.cause.detail}"
        for source in status.sources
        if source.circuit.state != closed
    }
