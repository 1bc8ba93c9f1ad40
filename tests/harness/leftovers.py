"""What a run left on the machine: it must be nothing."""

import contextlib
import os
from pathlib import Path
from typing import Self

import attrs

from tests.harness import mounts
from tests.harness.cgroups import Cgroup
from tests.harness.processes import processes

SHIM_SOCKETS = Path("/run/containerd/s")
"""Where every shim of containerd 1.x has its socket, whatever containerd's own directories are."""

RUNC = Path("/run/containerd/runc")
"""Where runc keeps the state of containers of `ctr` that have a user namespace: the shim forgets
`--runc-root` when it is told to whom their input and output belong."""

OPT = Path("/opt/containerd")
"""What a plugin of containerd makes unless it is disabled."""


@attrs.frozen
class Machine:
    """What the machine had at a moment, of what a run could leave outside of its directory."""

    paths: frozenset[Path]

    @classmethod
    def now(cls) -> Self:
        """Look at the machine."""
        return cls(
            frozenset({*SHIM_SOCKETS.parent.glob("**/*"), *([OPT] if OPT.exists() else [])})
        )


def find(base: Path, cgroup: Cgroup, before: Machine) -> list[str]:
    """Tell what is left of a run, in words; nothing is right.

    Args:
        base: The directory of the run, gone or not.
        cgroup: The cgroup of the run.
        before: The machine before the run.
    """
    # Another run may go on beside this one: a socket on which a shim of it listens is not ours.
    listening = {line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()}
    new = sorted(Machine.now().paths - before.paths)
    return [
        *(f"process {pid}: {' '.join(line)}" for pid, line in of_base(base)),
        *(f"mount: {point}" for point in mounts.below(base)),
        *([f"directory: {base}"] if base.exists() else []),
        *(f"cgroup: {directory}" for directory in cgroup.directories()),
        *(f"file: {path}" for path in new if path.is_socket() and str(path) not in listening),
        *(f"path: {path}" for path in new if not path.is_socket() and not _is_shared(path)),
    ]


def remove_empty() -> None:
    """Take away the directories that all runs use, once nothing is in them any more."""
    for path in (*RUNC.glob("*"), RUNC, SHIM_SOCKETS, SHIM_SOCKETS.parent):
        # Another run may begin or end beside this one.
        with contextlib.suppress(OSError):
            path.rmdir()


def _is_shared(path: Path) -> bool:
    """Whether it is a directory that another run may have in use as well as this one."""
    return path in {SHIM_SOCKETS, RUNC} or path.parent == RUNC


def of_base(base: Path) -> list[tuple[int, list[str]]]:
    """Tell identifier and command line of the processes of a run.

    A process belongs to it when an argument of it names a path below `base`, or when it works
    there. The name of a base directory is never used again.
    """
    return [
        (pid, line)
        for pid, line in processes()
        if pid != os.getpid() and (_names_below(line, base) or _works_below(pid, base))
    ]


def _names_below(line: list[str], base: Path) -> bool:
    return any(
        argument == str(base) or argument.startswith((f"{base}/", f"unix://{base}/"))
        for argument in line
    )


def _works_below(pid: int, base: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(base)
    except OSError:  # it has ended, or is a thread of the kernel
        return False
