"""The commands of the quick start, on a node with a real containerd."""

import re
import shlex

import pytest

from cvmfs_snapshotter.entrypoints.cli import main
from tests.harness.node import Node
from tests.harness.parts import ROOT
from tests.harness.samples import image_a

from .test_doctor import pid_of

PAGE = (ROOT / "docs" / "quickstart.md").read_text()
IMAGE = "docker.io/library/python:3.9"
ELSEWHERE = ("containerd-setup",)
"""Has tests of its own, in test_containerd_setup.py."""


def typed(heading: str) -> list[list[str]]:
    """Give the commands of ours in a section, in their order, without what the shell keeps."""
    text = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = re.findall(r"^cvmfs-snapshotter ([^>|#\n]+)", "".join(blocks), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def on(node: Node, words: list[str], reference: str) -> list[str]:
    """Put the node's places in the place of the usual ones, and name those that are left out."""
    put_in = {
        "/etc/cvmfs-snapshotter/config.toml": str(node.daemon.directory / "config.toml"),
        "/etc/containerd/config.toml": str(node.containerd.directory / "config.toml"),
        "1.7": node.containerd.version,
        IMAGE: reference,
    }
    root = ("--root", str(node.daemon.root))
    address = ("--address", str(node.daemon.socket))
    containerd = ("--containerd-root", str(node.containerd.directory / "root"))
    left_out = {
        "containerd-config": (*root, *address),
        "doctor": (*root, *address, *containerd, "--containerd-pid", pid_of(node)),
        "explain": (*root, *address, *containerd),
        "status": address,
        "tree": root,
    }
    return [*(put_in.get(word, word) for word in words), *left_out.get(words[0], ())]


@pytest.mark.parametrize("setup", ["1.6", "1.7", "2.1"], indirect=True)
def test_each_command_does_what_the_page_says(
    node: Node, capfd: pytest.CaptureFixture[str]
) -> None:
    """On a node where the daemon runs, with an image that was pulled as `crictl` pulls it."""
    image = image_a()
    node.repository.publish(*image.layers)
    reference = node.pull(image).reference
    shown = {}
    for words in typed("Plain containerd"):
        if words[0] in ELSEWHERE:
            continue
        capfd.readouterr()
        status = main(on(node, words, reference))
        shown[words[0]] = capfd.readouterr().out
        # A machine for tests may have no service that keeps its clock right: a warning.
        assert status in ({0, 3} if words[0] == "doctor" else {0}), (words, shown[words[0]])

    assert {"config", "containerd-config", "doctor", "explain", "tree", "status"} == set(shown)
    assert "nothing keeps" in shown["containerd-config"]
    assert 5 == shown["explain"].count("from source 'tests'")
    assert 5 == len(re.findall(r"^\d+ +tests ", shown["tree"], re.MULTILINE))
