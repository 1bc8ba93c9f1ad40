"""Snapshots that the real storage of containerd recorded, and values that it never writes."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.bolt import BoltError, read_storage
from cvmfs_snapshotter.adapters.bolt.storage import go_time, uvarint, varint
from cvmfs_snapshotter.domain.importing import Recorded
from cvmfs_snapshotter.domain.snapshot import Kind
from tests.harness.containerd import Containerd
from tests.harness.snapshots import Snapshots

EPOCH = 62_135_596_800


@pytest.fixture(scope="module")
def client(containerd: Containerd) -> Iterator[Snapshots]:
    """Give containerd's own overlayfs with a chain of snapshots."""
    made = Snapshots.connect(containerd.socket, "storage", "overlayfs")
    mounts = made.prepare("extract", "", {"containerd.io/snapshot/a": "ä"})
    (Path(mounts[0].source) / "file").write_bytes(b"x" * 100_000)
    made.commit("base", "extract", {"containerd.io/snapshot/b": "c"})
    made.prepare("active", "base")
    yield made
    made.close()


def read(containerd: Containerd) -> dict[str, Recorded]:
    """Read what was recorded, by key without containerd's prefix."""
    path = containerd.directory / "root/io.containerd.snapshotter.v1.overlayfs/metadata.db"
    ours = [r for r in read_storage(path) if r.name.startswith("storage/")]
    return {record.name.split("/", 2)[2]: record for record in ours}


def test_what_containerd_recorded(containerd: Containerd, client: Snapshots) -> None:
    """Kind, parent, labels and usage are what its own API tells."""
    found = read(containerd)

    assert {"base", "active"} == set(found)
    base, active = found["base"], found["active"]
    assert (Kind.COMMITTED, Kind.ACTIVE) == (base.kind, active.kind)
    assert ("", base.name) == (base.parent, active.parent)
    assert {"containerd.io/snapshot/b": "c"} == base.labels
    assert client.usage("base") == (base.usage.size, base.usage.inodes)
    assert base.usage.size >= 100_000
    assert base.identifier != active.identifier


def test_times(containerd: Containerd, client: Snapshots) -> None:
    """containerd's metadata has times of its own, taken about when the storage took its."""
    found = read(containerd)["base"]
    theirs = client.stat("base")
    apart = abs(theirs.created_at.ToNanoseconds() - found.created_at)

    assert apart < 60 * 10**9
    assert found.created_at == found.updated_at


def test_an_empty_store(tmp_path: Path, containerd: Containerd) -> None:
    """A database of something else has no snapshots."""
    path = containerd.directory / "root/io.containerd.metadata.v1.bolt/meta.db"
    other = tmp_path / "other.db"
    other.write_bytes(path.read_bytes())

    assert () == read_storage(other)


def test_a_damaged_record(containerd: Containerd, client: Snapshots, tmp_path: Path) -> None:
    """The message names the snapshot; nothing is guessed."""
    assert client.keys()
    path = containerd.directory / "root/io.containerd.snapshotter.v1.overlayfs/metadata.db"
    broken = tmp_path / "broken.db"
    broken.write_bytes(path.read_bytes().replace(b"kind\x03", b"kind\x07"))

    with pytest.raises(BoltError, match=r"cannot be understood: its kind is b'\\x07'"):
        read_storage(broken)


@pytest.mark.parametrize(
    ("seconds", "nanoseconds", "expected"),
    [(EPOCH, 0, 0), (EPOCH + 1, 5, 1_000_000_005), (EPOCH - 1, 999_999_999, -1)],
)
def test_moments(seconds: int, nanoseconds: int, expected: int) -> None:
    """Also before the epoch, and with an offset, which says nothing about the moment."""
    data = struct.pack(">Bqih", 1, seconds, nanoseconds, -1)

    assert expected == go_time(data)
    assert expected == go_time(b"\x02" + data[1:13] + b"\x00\x3c\x0f")


@pytest.mark.parametrize(
    "data", [struct.pack(">Bqih", 3, EPOCH, 0, 0), struct.pack(">Bqih", 1, 0, 0, 0)]
)
def test_no_moments(data: bytes) -> None:
    """A version that Go does not have, and the year 1, which no snapshot was made in."""
    with pytest.raises(ValueError, match="is no time"):
        go_time(data)


@pytest.mark.parametrize(
    ("data", "expected"), [(b"\x00", 0), (b"\x7f", 127), (b"\xac\x02", 300), (b"\x01more", 1)]
)
def test_numbers(data: bytes, expected: int) -> None:
    """Seven bits to a byte, the lowest first."""
    assert expected == uvarint(data)


@pytest.mark.parametrize(("data", "expected"), [(b"\x00", 0), (b"\x01", -1), (b"\xd8\x04", 300)])
def test_numbers_with_a_sign(data: bytes, expected: int) -> None:
    """The sign is the lowest bit."""
    assert expected == varint(data)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9 + b"\x01"])
def test_no_numbers(data: bytes) -> None:
    """One that does not end, and one that no identifier gets to."""
    with pytest.raises(ValueError, match="is no number"):
        uvarint(data)
