"""The commands of the quick start, on a node with a real containerd."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.cli import main
from tests.harness import parts
from tests.harness.node import Node
from tests.harness.parts import ROOT
from tests.harness.samples import image_a

from .test_doctor import pid_of

PAGE = (ROOT / "docs" / "quickstart.md").read_text()
IMAGE = "docker.io/library/python:3.9"


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
    """All but the daemon, which runs already; the image is pulled as `crictl` pulls it."""
    image = image_a()
    node.repository.publish(*image.layers)
    reference = node.pull(image).reference
    shown = {}
    for words in typed("Plain containerd"):
        if words[0] == "run":
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


def test_a_file_that_is_imported_wins(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As in k3s with containerd 2: its own settings stand in the file, ours beside it."""
    dropped = tmp_path / "config-v3.toml.d"
    dropped.mkdir()
    command = ["containerd-config", "--for", "2.1"]
    assert command in typed("k3s")
    assert 0 == main(command)
    (dropped / "cvmfs-snapshotter.toml").write_text(capfd.readouterr().out)
    file = tmp_path / "config.toml"
    file.write_text(
        f'version = 3\nimports = ["{dropped}/*.toml"]\nroot = "{tmp_path}/root"\n'
        f'state = "{tmp_path}/state"\n'
        "[plugins.'io.containerd.cri.v1.images']\n"
        'snapshotter = "overlayfs"\ndisable_snapshot_annotations = true\n'
        "[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = 'kept/image:1'\n"
    )
    program = parts.find("2.1").containerd / "containerd"
    done = subprocess.run(
        [program, "--config", file, "config", "dump"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "snapshotter = 'cvmfs-snapshotter'" in done.stdout
    assert "disable_snapshot_annotations = false" in done.stdout
    assert "kept/image:1" in done.stdout
    assert 0 == main([*command, "--check", str(file)])
