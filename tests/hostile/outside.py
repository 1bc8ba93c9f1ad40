"""A tree that nothing may read, change or delete, and that tells when something has."""

import ctypes
import os
import struct
from pathlib import Path
from typing import Self

import attrs

_ALL_EVENTS = 0xFFF  # IN_ALL_EVENTS (inotify(7))
_NONBLOCK = os.O_NONBLOCK | os.O_CLOEXEC
_EVENT = struct.Struct("iIII")
_NAMES = (
    *("read", "changed", "attributes", "closed", "closed", "opened"),
    *("moved", "moved", "made", "deleted", "deleted", "moved"),
)
"""What the bits of an event mean, from the lowest on."""


@attrs.frozen
class Outside:
    """A tree that symbolic links lead to.

    It looks in part like what the daemon looks for, so that following a link would go on.

    Attributes:
        path: its root.
    """

    path: Path
    _descriptor: int
    _directories: dict[int, Path] = attrs.field(factory=dict)

    @classmethod
    def make(cls, path: Path, digits: str) -> Self:
        """Make it, and begin to watch it.

        Args:
            path: where.
            digits: of the digest of a layer that lies in it as if it were published.
        """
        names = (
            *(f".layers/{digits[:2]}/{digits}/layerfs", f"{digits[:2]}/{digits}/layerfs"),
            *(f"{digits}/layerfs", "layerfs", ".metadata", "etc", "above", "below"),
            *(f"{number}/{name}" for number in range(1, 20) for name in ("fs", "work")),
        )
        for name in names:
            (path / name).mkdir(parents=True, exist_ok=True)
            (path / name / "precious").write_text("precious")
            (path / name / ".wh.x").touch()
            (path / name / "layers.json").write_text("[]")
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = libc.inotify_init1(_NONBLOCK)
        made = cls(path, descriptor)
        for directory in [path, *(p for p in path.rglob("*") if p.is_dir())]:
            watch = libc.inotify_add_watch(descriptor, bytes(directory), _ALL_EVENTS)
            if watch < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch")
            made._directories[watch] = directory
        return made

    def touched(self) -> list[str]:
        """Tell what was done there since it was made, or since this was asked last."""
        found: list[str] = []
        while True:
            try:
                data = os.read(self._descriptor, 65536)
            except BlockingIOError:
                return found
            while data:
                watch, mask, _, length = _EVENT.unpack_from(data)
                name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0").decode()
                what = [word for bit, word in enumerate(_NAMES) if mask & 1 << bit]
                found.append(f"{self._directories[watch]}/{name}: {', '.join(what)}")
                data = data[_EVENT.size + length :]

    def close(self) -> None:
        """End watching."""
        os.close(self._descriptor)
