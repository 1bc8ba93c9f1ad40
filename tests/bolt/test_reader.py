"""Databases that the real bbolt wrote, read while it writes on, and damaged ones."""

import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvmfs_snapshotter.adapters.bolt import BoltError, Bucket, open_bolt, pages
from tests.harness.containerd import Containerd
from tests.harness.snapshots import Snapshots

MANY = 400


@pytest.fixture(scope="module")
def overlayfs(containerd: Containerd) -> Iterator[Snapshots]:
    """Give containerd's own overlayfs, whose database gets its entries through this."""
    client = Snapshots.connect(containerd.socket, "bolt", "overlayfs")
    yield client
    client.close()


@pytest.fixture(scope="module")
def database(containerd: Containerd, overlayfs: Snapshots) -> Path:
    """Give the database of overlayfs, with more snapshots than fit a page."""
    for number in range(MANY):
        overlayfs.prepare(f"key {number:04}", "", {"containerd.io/snapshot/n": str(number)})
    overlayfs.prepare("small", "")
    return containerd.directory / "root/io.containerd.snapshotter.v1.overlayfs/metadata.db"


def snapshots_in(database: Bucket) -> dict[str, Bucket]:
    """Give the buckets of all snapshots by their keys without containerd's prefix."""
    found = database.bucket(b"v1", b"snapshots")
    assert found is not None
    ours = [(key.decode().split("/"), bucket) for key, bucket in found.buckets()]
    return {key[2]: bucket for key, bucket in ours if key[0] == "bolt"}


def everything(bucket: Bucket, depth: int = 4) -> int:
    """Walk through buckets in buckets and count the values."""
    below = sum(everything(inside, depth - 1) for _, inside in bucket.buckets() if depth)
    return below + len(list(bucket.values()))


def test_all_that_bbolt_wrote_is_there(database: Path) -> None:
    """Keys in branches and leaves, buckets in pages of their own and inside others."""
    found = snapshots_in(open_bolt(database))

    assert {f"key {number:04}" for number in range(MANY)} | {"small"} == set(found)
    labels = found["key 0123"].bucket(b"labels")
    assert labels is not None
    assert b"123" == labels.value(b"containerd.io/snapshot/n")
    assert b"\x02" == found["small"].value(b"kind")


def test_what_is_not_there(database: Path) -> None:
    """A missing key, a value that is asked for as a bucket, and the reverse, are nothing."""
    top = open_bolt(database)

    assert [b"v1"] == list(top)
    assert top.bucket(b"v1", b"none", b"deeper") is None
    assert top.value(b"v1") is None
    snapshots = top.bucket(b"v1", b"snapshots")
    assert snapshots is not None
    one = next(snapshots.buckets())[1]
    assert one.bucket(b"kind") is None
    assert one.value(b"none") is None


def test_every_key_is_found(database: Path) -> None:
    """A look-up finds each key that the walk finds, and none beside them."""
    snapshots = open_bolt(database).bucket(b"v1", b"snapshots")
    assert snapshots is not None
    keys = list(snapshots)
    assert sorted(keys) == keys
    assert MANY < len(keys)

    assert all(snapshots.bucket(key) is not None for key in keys)
    near = [other for key in keys for other in (key[:-1], key + b"\0", key[:-1] + b"\xff")]
    missing = set(near) - set(keys)
    assert MANY < len(missing)
    assert not any(snapshots.bucket(key) for key in (b"", b"\xff" * 99, *missing))


def test_a_look_up_is_no_walk(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It halves each page on its way instead of reading all of them."""
    snapshots = open_bolt(database).bucket(b"v1", b"snapshots")
    assert snapshots is not None
    key = list(snapshots)[MANY // 2]
    read: list[int] = []
    element = pages._leaf_element

    def count(data: bytes, at: int) -> pages.Element:
        read.append(at)
        return element(data, at)

    monkeypatch.setattr(pages, "_leaf_element", count)
    assert snapshots.bucket(key) is not None
    assert len(read) < 10


def test_reading_beside_a_writer(database: Path, overlayfs: Snapshots) -> None:
    """Every copy is of one moment: a snapshot is whole in it, or not there."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            overlayfs.prepare("written meanwhile", "", {"containerd.io/snapshot/n": str(number)})
            overlayfs.remove("written meanwhile")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [snapshots_in(open_bolt(database)) for _ in range(30)]
    finally:
        stop.set()
        writer.join()
    kept = {f"key {number:04}" for number in range(MANY)} | {"small"}
    assert all(kept == set(found) - {"written meanwhile"} for found in seen)
    assert all(b"\x02" == one.value(b"kind") for found in seen for one in found.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither of its two meta pages"),
        (b"SQLite format 3\0" * 1000, "neither of its two meta pages"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """The message says that it is no such database."""
    path = tmp_path / "other.db"
    path.write_bytes(content)

    with pytest.raises(BoltError, match=message):
        open_bolt(path)


def test_one_broken_meta_page_is_enough(database: Path, tmp_path: Path) -> None:
    """bbolt itself goes on with the other one after a power cut."""
    data = bytearray(database.read_bytes())
    for page in (0, 4096):
        broken = bytearray(data)
        broken[page + 16 : page + 80] = bytes(64)
        path = tmp_path / f"{page}.db"
        path.write_bytes(broken)
        assert snapshots_in(open_bolt(path))


@given(st.data())
def test_damage_is_an_error_of_its_own(database: Path, data: st.DataObject) -> None:
    """Whatever bytes are changed or missing: a result or a ``BoltError``, never anything else."""
    content = bytearray(database.read_bytes()[: 64 * 4096])
    for _ in range(data.draw(st.integers(1, 30))):
        # Behind the meta pages, whose checksum finds every change.
        place = data.draw(st.integers(2 * 4096, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    page = data.draw(st.integers(2, len(content) // 4096 - 1)) * 4096
    message = "none"
    try:
        everything(Bucket(bytes(content), 4096, page))
    except BoltError as error:
        message = str(error)
    assert message


def test_pages_in_a_circle_are_an_error() -> None:
    """A damaged file must not be read for ever."""
    branch = bytes(4096 * 2) + _branch(2) + bytes(4096 - 32)

    with pytest.raises(BoltError, match="more than once"):
        list(Bucket(branch, 4096, 2 * 4096))
    with pytest.raises(BoltError, match="more than once"):
        Bucket(branch, 4096, 2 * 4096).value(b"key")


def _branch(page: int) -> bytes:
    return struct.pack("<QHHI", page, 1, 1, 0) + struct.pack("<IIQ", 16, 0, page)
