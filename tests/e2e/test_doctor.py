"""The doctor on a node with real containerd."""

import json
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.cli import main
from tests.harness.node import Node
from tests.harness.samples import image_a


def pid_of(node: Node) -> str:
    """Find the process of the node's containerd by its configuration."""
    wanted = str(node.containerd.directory / "config.toml").encode()
    for process in Path("/proc").iterdir():
        try:
            named = (process / "comm").read_text() == "containerd\n"
            if named and wanted in (process / "cmdline").read_bytes():
                return process.name
        except OSError:
            continue
    raise AssertionError("the node's containerd does not run")


def doctor(node: Node, capfd: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    """Run the command on the node; gives the checks by their names."""
    capfd.readouterr()
    main(
        [
            *("doctor", "--json", "--containerd-pid", pid_of(node)),
            *("--root", str(node.daemon.root), "--address", str(node.daemon.socket)),
            *("--config", str(node.daemon.directory / "config.toml")),
            *("--containerd-root", str(node.containerd.directory / "root")),
        ]
    )
    return {check["name"]: check for check in json.loads(capfd.readouterr().out)["checks"]}


@pytest.mark.parametrize("setup", ["1.6", "1.7", "2.1", "2.1-transfer"], indirect=True)
def test_a_node_that_works(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever the machine of the test is like, what is ours passes; then the daemon ends."""
    image = image_a()
    node.repository.publish(*image.layers)
    node.pull(image)
    found = doctor(node, capfd)
    name = next(n for n in found if n.startswith("source ")).removeprefix("source ")
    ours = (
        "overlay",
        "state-directory",
        "page-budget",
        "records",
        f"source {name}",
        f"owners {name}",
        "daemon",
        f"daemon's view of {name}",
        "containerd",
        "containerd-config",
        f"containerd's view of {name}",
        "pause-image",
        "other-images",
    )
    assert dict.fromkeys(ours, "pass") == {
        check: found[check]["outcome"] for check in ours if check in found
    }
    assert node.containerd.version.lstrip("v").split("~")[0] in str(found["containerd"]["what"])

    node.daemon.kill()
    found = doctor(node, capfd)
    assert "fail" == found["daemon"]["outcome"]
    assert "pass" == found["records"]["outcome"]
