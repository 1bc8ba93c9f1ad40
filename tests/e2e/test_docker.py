"""Docker with its images in containerd's store, as the quick start sets it up."""

import json
import re
import tarfile
from collections.abc import Iterator

import pytest

from tests.harness.docker import Docker, docker
from tests.harness.node import Node
from tests.harness.parts import ROOT
from tests.harness.samples import SHOW_A, image_a

PAGE = (ROOT / "docs" / "quickstart.md").read_text()


@pytest.fixture
def client(node: Node) -> Iterator[Docker]:
    """A Docker configured by what stands on the page."""
    (configuration,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    with docker(node, json.loads(configuration)) as made:
        yield made


@pytest.mark.parametrize("setup", ["1.7", "2.1"], indirect=True)
def test_layers_on_the_source_are_not_downloaded(node: Node, client: Docker) -> None:
    """A pull takes them from there, and a container has the files of all layers."""
    image = image_a()
    node.repository.publish(*image.layers[:3])
    reference = node.registry.reference(image)
    node.registry.reset()
    pulled = client.run("pull", reference)
    sent = node.registry.downloaded()
    shown = client.run("run", "--rm", "--network", "none", reference, "sh", "-c", SHOW_A)

    assert "cvmfs-snapshotter\n" == client.run("info", "--format", "{{.Driver}}").stdout
    assert 0 == pulled.returncode, pulled.stderr
    assert ["hit"] * 3 + ["miss"] * 2 == [each.outcome for each in node.daemon.decisions()]
    assert [0, 0, 0] == [sent.get(layer.digest, 0) for layer in image.layers[:3]]
    assert [len(layer.blob) for layer in image.layers[3:]] == [
        sent.get(layer.digest, 0) for layer in image.layers[3:]
    ]
    assert 0 == shown.returncode, shown.stderr
    assert shown.stdout.startswith("one\ntwo\nthree\nfour\nfive\nshared of three\n")


@pytest.mark.parametrize("setup", ["1.7"], indirect=True)
def test_a_saved_image_has_no_layers(node: Node, client: Docker) -> None:
    """Docker does not say so; the page warns of it."""
    image = image_a()
    node.repository.publish(*image.layers)
    reference = node.registry.reference(image)
    assert 0 == client.run("pull", reference).returncode
    archive = client.directory / "saved.tar"
    saved = client.run("save", "--output", str(archive), reference)

    assert 0 == saved.returncode, saved.stderr
    with tarfile.open(archive) as opened:
        names = " ".join(opened.getnames())
    assert image.manifest_digest.removeprefix("sha256:") in names
    assert not [layer.digest for layer in image.layers if layer.hexadecimal in names]
    assert "writes an archive without layers" in PAGE
