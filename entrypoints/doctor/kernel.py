"""The kernel, its overlays, and its clock."""

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path

from cvmfs_snapshotter.adapters import kernel

from .result import Result, failure, passed, quoted, warning

_MADE = 1_735_689_600
"""A time, seconds since the epoch, that is past for whoever runs this: 2025 began."""

_TIME_ERROR = 5
_TIMEX_BYTES = 512


def check_overlay(root: str, system: Path = Path("/")) -> Result:
    """Tell whether overlays with their upper directories in the state directory can be mounted.

    Args:
        root: the state directory.
        system: where ``/proc`` and ``/lib/modules`` are found.
    """
    release = _release(system)
    try:
        kernel.require_overlay(root, system)
    except kernel.OverlayError as error:
        return failure(
            "overlay",
            str(error),
            *(_module(str(error)) or (f"findmnt --target {quoted(root)}",)),
        )
    except OSError as error:
        return warning(
            "overlay",
            f"whether overlays work on {root} is not known: {error.strerror}",
            f"ls -ld {quoted(root)}",
        )
    return passed("overlay", f"kernel {release} mounts overlays with upper directories in {root}")


def _module(message: str) -> tuple[str, ...]:
    return ("modprobe overlay",) if "no overlay file system" in message else ()


def _release(system: Path) -> str:
    try:
        return (system / "proc/sys/kernel/osrelease").read_text(errors="replace").strip()
    except OSError:
        return os.uname().release


def check_clock(
    now: Callable[[], float] = time.time,
    synchronised: Callable[[], bool | None] | None = None,
) -> Result:
    """Tell whether the clock can be right. Certificates of CVMFS are only valid for some time.

    Args:
        now: gives the time, seconds since the epoch.
        synchronised: tells whether the kernel takes its clock for right; None if unknown.
    """
    mend = "timedatectl set-ntp true"
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now()))
    if now() < _MADE:
        return failure("clock", f"the clock says {shown}, which is long past", mend)
    sound = (synchronised or clock_is_synchronised)()
    if sound is None:
        return warning(
            "clock",
            f"the clock says {shown}; the kernel does not tell whether by NTP",
            "timedatectl",
        )
    if not sound:
        return warning("clock", f"the clock says {shown}, and nobody keeps it right", mend)
    return passed("clock", f"the clock says {shown}, and is kept right")


def clock_is_synchronised() -> bool | None:
    """Ask the kernel whether its clock is kept right (adjtimex(2)); None if it does not tell."""
    # Without modes, the first field, it only reads.
    about = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(about)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR
