"""Image layers as lists of entries, and the archives and digests that follow from them."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from enum import Enum
from functools import cached_property

import attrs

MTIME = 1_500_000_000
"""Modification time of every entry, seconds since the epoch: the same archive on every run."""


class Kind(Enum):
    """What an entry is; the values are tar's type flags."""

    DIRECTORY = tarfile.DIRTYPE
    FILE = tarfile.REGTYPE
    SYMLINK = tarfile.SYMTYPE
    HARDLINK = tarfile.LNKTYPE
    CHARACTER_DEVICE = tarfile.CHRTYPE


@attrs.frozen
class Entry:
    """One entry of a layer's archive.

    Attributes:
        path: Relative to the root of the layer, without a leading or trailing slash; "." for
            the root itself.
        mode: Permission bits with setuid, setgid and sticky.
        content: Of a file.
        target: Of a symbolic link, as written; of a hard link, a path like `path`.
        device: Major and minor number of a device.
    """

    path: str
    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    content: bytes = b""
    target: str = ""
    device: tuple[int, int] = (0, 0)
    mtime: int = MTIME


def directory(path: str, mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> Entry:
    """Describe a directory."""
    return Entry(path, Kind.DIRECTORY, mode, uid, gid)


def file(
    path: str, content: str | bytes, mode: int = 0o644, *, uid: int = 0, gid: int = 0
) -> Entry:
    """Describe a regular file."""
    data = content.encode() if isinstance(content, str) else content
    return Entry(path, Kind.FILE, mode, uid, gid, content=data)


def symlink(path: str, target: str) -> Entry:
    """Describe a symbolic link."""
    return Entry(path, Kind.SYMLINK, 0o777, target=target)


def hardlink(path: str, target: str) -> Entry:
    """Describe a further name for the file `target`, an earlier entry of this or a lower layer."""
    return Entry(path, Kind.HARDLINK, 0o644, target=target)


def device(path: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    """Describe a character device."""
    return Entry(path, Kind.CHARACTER_DEVICE, mode, device=(major, minor))


def whiteout(path: str) -> Entry:
    """Describe the removal of what lower layers have at `path` (OCI image layer specification)."""
    parent, _, name = path.rpartition("/")
    return file(f"{parent}/.wh.{name}" if parent else f".wh.{name}", b"")


def opaque(path: str) -> Entry:
    """Describe the removal of all that lower layers have inside the directory `path`."""
    return file(f"{path}/.wh..wh..opq", b"")


@attrs.frozen(slots=False)
class Layer:
    """A layer: what is in it, and the blob that a registry serves for it.

    Two layers with the same entries have the same blob, on every machine with the same zlib.
    """

    entries: tuple[Entry, ...]

    @cached_property
    def archive(self) -> bytes:
        """The uncompressed tar archive."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for entry in self.entries:
                tar.addfile(_header(entry), io.BytesIO(entry.content))
        return out.getvalue()

    @cached_property
    def blob(self) -> bytes:
        """The compressed archive."""
        return gzip.compress(self.archive, compresslevel=6, mtime=0)

    @cached_property
    def digest(self) -> str:
        """Digest of the blob, by which registries and CVMFS know the layer."""
        return digest_of(self.blob)

    @cached_property
    def diff_id(self) -> str:
        """Digest of the uncompressed archive, by which an image's configuration knows it."""
        return digest_of(self.archive)

    @property
    def hexadecimal(self) -> str:
        """The digest without its algorithm."""
        return self.digest.removeprefix("sha256:")


def layer(*entries: Entry) -> Layer:
    """Make a layer of these entries, in this order."""
    return Layer(entries)


def digest_of(data: bytes) -> str:
    """Tell the digest of these bytes in the spelling `sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """Tell the chain ID of each layer, the lowest first (OCI image configuration, "ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain


def _header(entry: Entry) -> tarfile.TarInfo:
    header = tarfile.TarInfo(entry.path)
    header.type = entry.kind.value
    header.mode = entry.mode
    header.uid, header.gid = entry.uid, entry.gid
    header.mtime = entry.mtime
    header.size = len(entry.content)
    header.linkname = entry.target
    header.devmajor, header.devminor = entry.device
    return header
