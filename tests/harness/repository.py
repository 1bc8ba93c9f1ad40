"""A directory tree with unpacked layers, laid out as DUCC lays them out on CVMFS.

What DUCC and the CVMFS server make of a layer's archive: `.wh.*` entries stay ordinary files; hard
links become copies; extended attributes are lost; a directory without an entry of its own gets
mode 0755 and the time of the ingestion; an empty `.cvmfscatalog` marks the root of every layer.
The rules are those of CVMFS's own sources (`ducc/`, `cvmfs/sync_union_tarball.cc`).
"""

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Self

import attrs

from tests.harness.images import Image
from tests.harness.layers import Entry, Kind, Layer, digest_of

INGESTED = 1_600_000_000
"""Time of ingestion, seconds since the epoch: later than that of the entries themselves."""


@attrs.frozen
class Repository:
    """The tree, writable for its publisher; let others see it through `mounts.read_only`.

    Attributes:
        path: Its root, standing for `/cvmfs/<repository>`.
        owner: User and group of everything that is published; None for those of the archives, as
            servers before CVMFS 2.12 kept them.
    """

    path: Path
    owner: tuple[int, int] | None = None

    @classmethod
    def make(cls, path: Path, owner: tuple[int, int] | None = None) -> Self:
        """Make an empty repository."""
        (path / ".layers").mkdir(parents=True)
        return cls(path, owner)

    def directory_of(self, layer: Layer) -> Path:
        """Tell where a layer belongs, published or not."""
        return self.path / ".layers" / layer.hexadecimal[:2] / layer.hexadecimal

    def publish(self, *layers: Layer) -> None:
        """Publish layers; those that are there stay as they are.

        As on CVMFS, `layerfs` appears in one step, complete, and its description afterwards.
        """
        for layer in layers:
            directory = self.directory_of(layer)
            if (directory / "layerfs").exists():
                continue
            directory.mkdir(parents=True, exist_ok=True)
            transaction = directory / "layerfs.new"
            _ingest(layer, transaction, self.owner)
            transaction.rename(directory / "layerfs")
            self.describe(layer)

    def publish_image(self, image: Image, registry: str) -> None:
        """Publish all layers of an image and its manifest.

        Args:
            registry: The host under which the image was found.
        """
        self.publish(*image.layers)
        for layer in image.layers:
            self.describe(layer, image)
        directory = self.path / ".metadata" / registry / image.name
        directory.mkdir(parents=True, exist_ok=True)
        # DUCC writes its own structure with Go's spelling of the keys, not the registry's bytes.
        manifest = {
            "SchemaVersion": 2,
            "MediaType": image.media_types.manifest,
            "Config": _descriptor(image.media_types.config, image.config),
            "Layers": [_descriptor(image.media_types.layer, each.blob) for each in image.layers],
        }
        (directory / "manifest.json").write_text(json.dumps(manifest))

    def describe(self, layer: Layer, *images: Image, diff_id: str | None = None) -> None:
        """Write the files beside a layer that tell what it is.

        Args:
            images: Images that use the layer.
            diff_id: What to claim as its diff ID instead of the right one.
        """
        diff_id = diff_id or layer.diff_id
        metadata = self.directory_of(layer) / ".metadata"
        metadata.mkdir(exist_ok=True)
        described = {
            "id": diff_id.removeprefix("sha256:"),
            "created": "2020-09-13T12:26:40Z",
            "compressed-diff-digest": layer.digest,
            "diff-digest": diff_id,
            "diff-size": len(layer.archive),
        }
        (metadata / "layers.json").write_text(json.dumps([described]))
        origin = {"origin": [image.config_digest for image in images]}
        (metadata / "origin.json").write_text(json.dumps(origin))

    def withdraw(self, *layers: Layer) -> None:
        """Remove layers, as the garbage collection of DUCC does."""
        for layer in layers:
            shutil.rmtree(self.directory_of(layer))


def _ingest(layer: Layer, root: Path, owner: tuple[int, int] | None) -> None:
    """Unpack an archive as the CVMFS server does."""
    root.mkdir()
    entries = {entry.path: entry for entry in layer.entries}
    for entry in layer.entries:
        _make(entry, root, owner)
    marker = root / ".cvmfscatalog"
    marker.touch()
    marker.chmod(0o664)
    os.utime(marker, (INGESTED, INGESTED))
    # The deepest first: what happens in a directory changes its time.
    for name, _, _ in os.walk(root, topdown=False):
        path = Path(name)
        relative = "." if path == root else str(path.relative_to(root))
        described = entries.get(relative)
        path.chmod(described.mode if described else 0o755)
        time = described.mtime if described else INGESTED
        os.utime(path, (time, time))
    if owner:
        for name, directories, files in os.walk(root):
            for path in (Path(name), *(Path(name) / each for each in directories + files)):
                _give(path, owner)


def _make(entry: Entry, root: Path, owner: tuple[int, int] | None) -> None:
    path = root / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    match entry.kind:
        case Kind.DIRECTORY:
            path.mkdir(exist_ok=True)
            os.chown(path, entry.uid, entry.gid)
            return  # mode and time come when it is full
        case Kind.SYMLINK:
            path.symlink_to(entry.target)
        case Kind.HARDLINK:
            original = root / entry.target
            if not original.exists():  # it is in a lower layer: DUCC skips such a link
                return
            shutil.copy2(original, path)
            status = original.stat()
            os.chown(path, status.st_uid, status.st_gid)
            path.chmod(stat.S_IMODE(status.st_mode))
            return
        case Kind.CHARACTER_DEVICE:
            os.mknod(path, stat.S_IFCHR, os.makedev(*entry.device))
        case Kind.FILE:
            path.write_bytes(entry.content)
    os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
    if entry.kind is not Kind.SYMLINK:
        path.chmod(entry.mode)
    os.utime(path, (entry.mtime, entry.mtime), follow_symlinks=False)


def _give(path: Path, owner: tuple[int, int]) -> None:
    """Change the owner and keep setuid and setgid, which the kernel clears on a change."""
    mode = path.lstat().st_mode
    os.chown(path, *owner, follow_symlinks=False)
    if not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode))


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"MediaType": media_type, "Size": len(data), "Digest": digest_of(data)}
