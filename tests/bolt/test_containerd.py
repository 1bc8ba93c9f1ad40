"""What containerd has recorded, compared with what it was told."""

from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.bolt import ContainerdError, read_records
from tests.harness.containerd import Containerd
from tests.harness.snapshots import Snapshots


def test_snapshots_of_all_namespaces(containerd: Containerd) -> None:
    """Key, name and parent of each, and none of another snapshotter."""
    for namespace in ("one", "two"):
        client = Snapshots.connect(containerd.socket, namespace, "overlayfs")
        client.prepare("extract", "")
        client.commit("base", "extract")
        client.prepare("container", "base")
        client.close()

    found = read_records(containerd.directory / "root", "overlayfs").snapshots
    ours = {(s.namespace, s.key): s for s in found if s.namespace in {"one", "two"}}
    assert {(n, k) for n in ("one", "two") for k in ("base", "container")} == set(ours)
    assert ("base", "") == (ours["two", "container"].parent, ours["two", "base"].parent)
    assert ours["one", "base"].name.startswith("one/")
    assert ours["one", "base"].name.endswith("/base")
    assert () == read_records(containerd.directory / "root", "cvmfs-snapshotter").snapshots


def test_a_missing_database_says_what_to_do(tmp_path: Path) -> None:
    """containerd's root directory may be elsewhere."""
    with pytest.raises(ContainerdError, match=r"No such file.*--containerd-root"):
        read_records(tmp_path, "overlayfs")


def test_a_damaged_database_is_an_error(tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "io.containerd.metadata.v1.bolt/meta.db"
    path.parent.mkdir()
    path.write_bytes(b"nothing" * 100)

    with pytest.raises(ContainerdError, match=r"meta\.db cannot be read: neither"):
        read_records(tmp_path, "overlayfs")
