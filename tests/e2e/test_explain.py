"""Explaining what a real containerd has pulled."""

import json
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.bolt import ContainerdError, open_content
from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.entrypoints.cli import main
from tests.harness.node import Node
from tests.harness.samples import image_a


def explain(node: Node, capfd: pytest.CaptureFixture[str], what: str) -> dict[str, object]:
    """Run the command on the node."""
    capfd.readouterr()
    main(
        [
            "explain",
            *("--root", str(node.daemon.root), "--address", str(node.daemon.socket)),
            *("--config", str(node.daemon.directory / "config.toml"), "--json"),
            *("--containerd-root", str(node.containerd.directory / "root"), what),
        ]
    )
    found: dict[str, object] = json.loads(capfd.readouterr().out)
    return found


@pytest.mark.parametrize("setup", ["1.6", "2.1"], indirect=True)
def test_a_pulled_image(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    """By name, by digest of its manifest, and by a container's key, without a registry."""
    image = image_a()
    node.repository.publish(*image.layers[:2])
    reference = node.pull(image).reference
    by_name, by_digest = (
        explain(node, capfd, what) for what in (reference, image.manifest_digest)
    )

    assert reference == by_name["name"]
    assert "linux/amd64" == by_name["platform"]
    assert by_name["layers"] == by_digest["layers"]
    layers = by_name["layers"]
    assert isinstance(layers, list)
    assert image.chain_ids == [layer["chain_id"] for layer in layers]
    assert [len(layer.blob) for layer in image.layers] == [layer["size"] for layer in layers]
    source = layers[0]["source"]
    assert [source, source, None, None, None] == [layer["source"] for layer in layers]
    assert [source, source, None, None, None] == [layer["here"][0]["source"] for layer in layers]
    assert "absent" == layers[2]["verdicts"][0]["reason"]

    container = explain(node, capfd, image.chain_ids[4])
    snapshots = container["snapshots"]
    assert isinstance(snapshots, list)
    assert [None, None, None, source, source] == [snapshot["source"] for snapshot in snapshots]


@pytest.mark.parametrize("setup", ["1.7"], indirect=True)
def test_the_store_of_content(node: Node) -> None:
    """Sizes as containerd tells them itself; a blob is what its digest says, or nothing."""
    image = image_a()
    node.pull(image)
    root = node.containerd.directory / "root"
    content = open_content(root)
    for layer in image.layers:
        assert len(layer.blob) == content.size(Digest.parse(layer.digest) or Digest(""))
    manifest = Digest.parse(image.manifest_digest)
    assert manifest is not None
    assert image.manifest == content.blob(manifest)
    assert manifest in {found.digest for found in content.images()}

    blob = root / "io.containerd.content.v1.content/blobs/sha256" / manifest.hex
    kept = blob.read_bytes()
    try:
        blob.write_bytes(kept + b" ")
        assert content.blob(manifest) is None
    finally:
        blob.write_bytes(kept)
    assert content.blob(Digest("0" * 64)) is None
    assert content.size(Digest("0" * 64)) is None


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    """The message says which flag is meant."""
    with pytest.raises(ContainerdError, match=r"No such file.*--containerd-root"):
        open_content(tmp_path)
