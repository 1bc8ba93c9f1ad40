"""Switching the snapshotter off, on a node with real containerd."""

import json
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.cli import drain, main
from tests.harness.node import Node
from tests.harness.samples import image_a


def run(node: Node, *flags: str) -> int:
    """Run the command on the node."""
    places = ("--root", str(node.daemon.root))
    containerd = ("--containerd-root", str(node.containerd.directory / "root"))
    return main(["drain", "--plan", *places, *containerd, *flags])


@pytest.mark.parametrize("setup", ["1.6", "2.1-transfer"], indirect=True)
def test_a_plan(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    """Before a pull nothing stands on a source; then the image does, with what it lacks."""
    image = image_a()
    capfd.readouterr()
    assert 0 == run(node)
    assert "nothing stands on a source\n" == capfd.readouterr().out
    node.repository.publish(*image.layers[:2])
    reference = node.pull(image).reference
    capfd.readouterr()
    assert drain.NEEDED == run(node, "--json")
    found = json.loads(capfd.readouterr().out)

    names = {one["image"]: one for one in found["images"]}
    assert reference in names
    ours = names[reference]
    assert ("k8s.io", 2) == (ours["namespace"], ours["remote_snapshots"])
    sizes = [len(layer.blob) for layer in image.layers[:2]]
    assert (2, sum(sizes)) == (ours["missing_layers"], ours["missing_bytes"])
    assert f"crictl rmi {reference}; crictl pull {reference}" == ours["command"]
    assert [] == found["containers"]
    assert 0 == found["unknown_to_containerd"]
    assert drain.NEEDED == run(node)
    shown = capfd.readouterr().out
    assert f"k8s.io {reference}: missing layers: 2, " in shown
    assert "images that stand on a source, to be pulled for overlayfs:" in shown


@pytest.mark.parametrize("setup", ["1.7"], indirect=True)
def test_containers(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    """A container in another namespace than the CRI's is named with its command."""
    image = image_a()
    node.repository.publish(*image.layers)
    reference = node.pull(image).reference
    ctr = node.containerd.ctr("k8s.io")
    ctr.run("containers", "create", "--snapshotter", "cvmfs-snapshotter", reference, "c1")
    capfd.readouterr()
    assert drain.NEEDED == run(node)
    shown = capfd.readouterr().out
    assert "k8s.io c1: 5 of its snapshots\n    crictl rm -f c1\n" in shown


def test_what_cannot_be_meant(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It only plans; it needs another snapshotter, containerd's records, and ours."""
    with pytest.raises(SystemExit, match="2"):
        main(["drain"])
    assert 2 == main(["drain", "--plan", "--to", "cvmfs-snapshotter"])
    assert 1 == main(["drain", "--plan", "--containerd-root", str(tmp_path)])
    assert "--containerd-root" in capfd.readouterr().err
