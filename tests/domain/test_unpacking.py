"""Keys of snapshots that layers are unpacked into."""

import pytest

from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.domain.unpacking import chain_to_unpack

A = "a" * 64


@pytest.mark.parametrize("before", ["", "k8s.io/42/", "odd/name/7/"])
@pytest.mark.parametrize("unique", ["123456-xY-9", "é"])
def test_the_chain_id_is_found(before: str, unique: str) -> None:
    """Whatever namespace and number stand before it."""
    assert Digest(A) == chain_to_unpack(f"{before}extract-{unique} sha256:{A}")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "container",
        "k8s.io/7/container",
        f"k8s.io/7/sha256:{A}",
        "extract-1",
        "extract-1 ",
        "extract-1 sha256:x",
        f"extract-1  sha256:{A}",
        f"extract-1 sha256:{A} more",
        f"extract-1/2 sha256:{A}",
        f"extracted sha256:{A}",
    ],
)
def test_other_keys_have_none(key: str) -> None:
    """Snapshots of containers, committed ones, and keys that only begin alike."""
    assert chain_to_unpack(key) is None
