"""What a plan says of images of which not all is known."""

from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.domain.containerd import (
    ContainerdRecords,
    KnownImage,
    KnownSnapshot,
)
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from cvmfs_snapshotter.entrypoints import draining
from cvmfs_snapshotter.entrypoints.cli import drain, main
from cvmfs_snapshotter.entrypoints.root import database_path

IMAGE = "r.io/a:1"
MANIFEST = Digest("1" * 64)
LAYER = Digest("2" * 64)
NAMES = ("k8s.io/1/top", "k8s.io/2/unknown")


@attrs.frozen
class _Content:
    """Has one image, and some blobs."""

    blobs: Mapping[Digest, bytes]

    def images(self) -> list[KnownImage]:
        return [KnownImage("k8s.io", IMAGE, MANIFEST)]

    def blob(self, digest: Digest) -> bytes | None:
        return self.blobs.get(digest)

    def size(self, digest: Digest) -> int | None:
        return len(self.blobs[digest]) if digest in self.blobs else None


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a state directory with two remote snapshots and a local one."""
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    path = Path(database_path(str(root)))
    prepare_database(path)
    store = open_store(path)
    for name in (*NAMES, "k8s.io/3/local"):
        snapshot = Snapshot(
            identifier=store.new_identifier(),
            name=name,
            parent_identifier=0,
            parent="",
            kind=Kind.COMMITTED,
            created_at=0,
            updated_at=0,
            labels={"containerd.io/snapshot.ref": name},
            layer=Layer("s", LAYER) if name in NAMES else None,
        )
        store.write(lambda t, s=snapshot: t.insert(s))  # type: ignore[misc]
    store.close()
    return root


def layers(text: str) -> bytes:
    """Give a manifest with these layers."""
    return f'{{"layers": [{text}]}}'.encode()


@pytest.mark.parametrize(
    ("blobs", "expected"),
    [
        ({}, "1 of its snapshots; what it lacks is not known"),
        ({MANIFEST: b"x"}, "1 of its snapshots; what it lacks is not known"),
        (
            {MANIFEST: layers(f'{{"digest": "{LAYER}", "size": 5000}}')},
            "missing layers: 1, 5.0 kB",
        ),
        ({MANIFEST: layers(f'{{"digest": "{LAYER}"}}')}, "missing layers: 1"),
        ({MANIFEST: layers('{"digest": "md5:1", "size": 1}')}, "missing layers: 1, 1 B"),
        (
            {MANIFEST: layers(f'{{"digest": "{LAYER}", "size": 1}}'), LAYER: b"l"},
            "missing layers: 0, 0 B",
        ),
    ],
    ids=["no manifest", "no good one", "missing", "no size", "odd digest", "all there"],
)
def test_what_an_image_lacks(
    blobs: dict[Digest, bytes],
    expected: str,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As far as its manifest is there, and says it; snapshots that nobody knows are counted."""
    known = ContainerdRecords(
        (KnownSnapshot("k8s.io", "top", NAMES[0], ""),), (), {("k8s.io", "top"): (IMAGE,)}
    )
    monkeypatch.setattr(draining, "read_records", lambda *_: known)
    monkeypatch.setattr(draining, "open_content", lambda _: _Content(blobs))

    assert drain.NEEDED == main(["drain", "--plan", "--root", str(root)])
    shown = capfd.readouterr().out
    assert f"  k8s.io {IMAGE}: {expected}\n    crictl rmi {IMAGE}; crictl pull {IMAGE}\n" in shown
    assert "snapshots on a source that containerd does not know: 1" in shown
