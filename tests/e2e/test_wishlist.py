"""From a pull that misses to a recipe."""

import json

import pytest

from cvmfs_snapshotter.entrypoints.cli import main
from tests.harness.node import Node
from tests.harness.processes import wait_until
from tests.harness.samples import image_a


def wishlist(node: Node, capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Run the command on the node's state."""
    containerd = str(node.containerd.directory / "root")
    root = str(node.daemon.root)
    capfd.readouterr()
    assert 0 == main(["wishlist", "--root", root, "--containerd-root", containerd, "--json"])
    found: list[dict[str, object]] = json.loads(capfd.readouterr().out)["images"]
    return found


@pytest.mark.parametrize("setup", ["1.6", "2.1-transfer"], indirect=True)
def test_what_was_downloaded_is_wished_for(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    """A real pull: the image with its registry, its missed layers, and the bytes they took."""
    image = image_a()
    node.repository.publish(*image.layers[:1])
    node.pull(image)
    (wanted,) = wait_until("it is remembered", lambda: wishlist(node, capfd))

    missed = {layer.digest: len(layer.blob) for layer in image.layers[1:]}
    assert node.registry.reference(image) == wanted["image"]
    assert f"https://{node.registry.reference(image)}" == wanted["url"]
    found = wanted["layers"]
    assert isinstance(found, list)
    assert missed == {layer["digest"]: layer["bytes"] for layer in found}
    assert sum(missed.values()) == wanted["missed_bytes"] == wanted["downloaded_bytes"]
