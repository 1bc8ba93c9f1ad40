"""Mount points below a directory: make a read-only one, find them, take them away."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cvmfs_snapshotter.proto.containerd.types.mount_pb2 import Mount


def below(directory: Path) -> list[Path]:
    """Tell the mount points at or below a directory, the deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # Spaces and the like are written in octal (proc(5), "mountinfo").
        name = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[4])
        point = Path(name)
        if point == directory or directory in point.parents:
            found.append(point)
    return sorted(found, key=lambda point: len(point.parts), reverse=True)


def unmount_below(directory: Path) -> None:
    """Unmount everything at and below a directory, also what is in use.

    Raises:
        subprocess.CalledProcessError: A mount point could not be unmounted.
    """
    while points := below(directory):
        for point in points:
            subprocess.run(["umount", "--lazy", point], check=True)


@contextmanager
def read_only(source: Path, target: Path) -> Iterator[Path]:
    """Show a directory read-only at another place for the time of the block.

    Args:
        source: The directory.
        target: Where to show it; made when it is missing, and left in place, empty.

    Raises:
        subprocess.CalledProcessError: The kernel refused one of the mounts.
    """
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", source, target], check=True)
    try:
        # A bind mount takes its own flags only when it is mounted once more.
        subprocess.run(["mount", "-o", "remount,bind,ro", target], check=True)
        yield target
    finally:
        unmount_below(target)


@contextmanager
def mounted(mounts: Sequence[Mount], target: Path) -> Iterator[Path]:
    """Mount a snapshot for the time of the block, as containerd mounts it.

    Args:
        mounts: What a snapshotter answered.
        target: An existing directory.

    Raises:
        subprocess.CalledProcessError: The kernel refused a mount.
    """
    try:
        for mount in mounts:
            options = ",".join(mount.options)
            command = ("mount", "-t", mount.type, "-o", options, mount.source, str(target))
            subprocess.run(command, check=True)
        yield target
    finally:
        unmount_below(target)
