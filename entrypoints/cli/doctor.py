"""The command ``doctor``."""

import argparse
import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .failing import fail
from .flags import (
    Commands,
    add_address,
    add_config,
    add_containerd_root,
    add_json,
    add_root,
    add_snapshotter,
)

if TYPE_CHECKING:
    from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2

    from ..doctor.result import Result

WARNED = 3
"""Exit status if nothing fails and something is not as it should be."""

_SECONDS = 5.0
_COLOURS = {"pass": "32", "warn": "33", "fail": "31"}

_EPILOG = f"""\
exit status:
  0  every check passes
  1  a check fails: layers do not come from a source, or containers do not start
  2  the flags or the configuration cannot be meant
  {WARNED}  no check fails, and some warn

Nothing is changed, but for a file that is made in the state directory and removed again. Sources
are looked at by processes of their own: one that hangs delays the answer by its deadline, for each
containerd once more.

Below a check stand commands, and behind a # what no command can do. With --json they are its keys
mend and advice; name does not change, outcome is pass, warn or fail, and what says it in words.

examples:
  cvmfs-snapshotter doctor
  cvmfs-snapshotter doctor --config /etc/cvmfs-snapshotter/config.toml
  cvmfs-snapshotter doctor --json | jq -r '.checks[] | select(.outcome == "fail") | .mend[]'
"""


def add_doctor(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "doctor",
        help="check the node, and name the command that mends what is wrong",
        description=(
            "Check kernel, clock, state directory, records, sources, daemon and containerd. Each "
            "check passes, warns or fails, and names the command that mends what it found, or "
            "says what to do."
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
    parser.add_argument(
        "--containerd-pid",
        type=_pid,
        metavar="PID",
        help="process of the containerd to look at (default: all that run)",
    )
    add_json(parser)
    parser.set_defaults(act=_doctor)
    return parser


def _pid(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and os.path.isdir(f"/proc/{text}")):  # noqa: PTH112 - pathlib delays help
        raise argparse.ArgumentTypeError(f"there is no process {text!r}")
    return text


def _doctor(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE  # noqa: PLC0415
    from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command  # noqa: PLC0415

    from ..config import load_config  # noqa: PLC0415
    from ..containerd_config.platforms import machine_platform  # noqa: PLC0415
    from ..doctor.examining import Patient, examine  # noqa: PLC0415
    from ..doctor.result import Outcome  # noqa: PLC0415

    if os.geteuid() != 0:
        return fail("what there is to check is root's: run this as root", 1)
    config = load_config(arguments.config)
    patient = Patient(
        arguments.root,
        arguments.address,
        config,
        arguments.containerd_root,
        arguments.snapshotter,
        machine_platform(os.uname().machine),
        arguments.containerd_pid or "",
        _answer(arguments.address),
    )
    probes = ProbePool(worker_command(WORKER_MODULE))
    try:
        results = examine(patient, probes)
        found = _as_json(results) if arguments.json else _as_text(results)
    finally:
        # A probe that hangs in the kernel is not waited for.
        probes.close(0.5)
    outcomes = {result.outcome for result in found}
    if Outcome.FAIL in outcomes:
        return 1
    return WARNED if Outcome.WARN in outcomes else 0


def _answer(address: str) -> "admin_pb2.StatusResponse | str":
    from cvmfs_snapshotter.proto.cvmfs_snapshotter.admin.v1 import admin_pb2  # noqa: PLC0415

    from .asking import AskError, asking  # noqa: PLC0415

    try:
        with asking(address) as daemon:
            return daemon.Status(admin_pb2.StatusRequest(), timeout=_SECONDS)
    except AskError as error:
        return str(error)


def _as_json(results: "Iterable[Result]") -> "list[Result]":
    found = list(results)
    checks = [
        {
            "name": result.name,
            "outcome": result.outcome.value,
            "what": result.what,
            "mend": list(result.mend),
            "advice": list(result.advice),
        }
        for result in found
    ]
    print(json.dumps({"checks": checks}, indent=2))
    return found


def _as_text(results: "Iterable[Result]") -> "list[Result]":
    from .colours import coloured  # noqa: PLC0415

    found = []
    for result in results:
        found.append(result)
        word = coloured(result.outcome.value, _COLOURS[result.outcome.value])
        # As soon as it is known: a source that hangs takes its time.
        print(f"{word}  {result.name}: {result.what}", flush=True)
        # Advice is a comment to a shell, so that what is below a check can be pasted as it is.
        for line in (*(f"# {advice}" for advice in result.advice), *result.mend):
            print(f"          {line}", flush=True)
    return found
