"""Mounts, as a process sees them; reading them asks no file system."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs


@attrs.frozen
class Mounted:
    """One mount (proc(5), ``/proc/<pid>/mountinfo``).

    Attributes:
        at: mount point.
        kind: file system type.
        source: what is mounted.
        options: of the mount and of the file system.
        shared: whether mounts made below it elsewhere come here: it is shared, or a slave.
    """

    at: str
    kind: str
    source: str
    options: tuple[str, ...]
    shared: bool

    def option(self, name: str) -> str | None:
        """Give the value of an option such as ``timeout=300``; None if it is not there."""
        found = (o.partition("=")[2] for o in self.options if o.partition("=")[0] == name)
        return next(found, None)


def mounts_of(pid: str, system: Path = Path("/proc")) -> Sequence[Mounted]:
    """Give the mounts that a process sees, in their order.

    Args:
        pid: its number, or ``self``.
        system: where processes are found.

    Raises:
        OSError: there is no such process.
    """
    text = (system / pid / "mountinfo").read_text(errors="surrogateescape")
    return [_mounted(line) for line in text.splitlines() if " - " in line]


def _mounted(line: str) -> Mounted:
    before, _, after = line.partition(" - ")
    fields, (kind, source, *more) = before.split(" "), after.split(" ")
    propagation = fields[6:]
    options = (*fields[5].split(","), *(more[0].split(",") if more else ()))
    shared = any(p.startswith(("shared:", "master:")) for p in propagation)
    return Mounted(_plain(fields[4]), kind, _plain(source), options, shared)


def mount_for(path: str, mounts: Iterable[Mounted]) -> Mounted | None:
    """Give the topmost mount that a path is on; symbolic links are not looked at.

    Args:
        path: absolute.
        mounts: in their order.
    """
    found = None
    for mount in mounts:
        inside = mount.at in {"/", path} or path.startswith(f"{mount.at}/")
        # What is mounted later at the same place, or further down, is on top.
        if inside and (found is None or len(mount.at) >= len(found.at)):
            found = mount
    return found


def _plain(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
