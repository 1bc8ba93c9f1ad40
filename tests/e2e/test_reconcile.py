"""What happens when records are lost, and how an operator gets on."""

import json
import shlex
import sqlite3
import subprocess
from contextlib import closing, suppress
from typing import Any

import pytest

from tests.harness import samples
from tests.harness.ctr import CtrError
from tests.harness.daemon import PROGRAM
from tests.harness.node import Node


def reconcile(node: Node, *flags: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the command beside the daemon, and give its exit status and findings."""
    daemon = node.daemon
    done = subprocess.run(
        [
            *(str(PROGRAM), "reconcile", "--json", "--root", str(daemon.root)),
            *("--config", str(daemon.directory / "config.toml")),
            *("--containerd-root", str(node.containerd.directory / "root"), *flags),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in {0, 1}, done.stderr
    shown = json.loads(done.stdout)
    assert shown["containerd"]["compared"]
    return done.returncode, shown["findings"]


def test_a_node_that_works_fits(node: Node) -> None:
    """After pulls, remote and local, with a container in between, nothing is found."""
    image = samples.image_a()
    node.repository.publish(*image.layers[:3])
    pulled = node.pull(image)
    assert node.containerd.cri.run(pulled.reference, "true").code == 0

    status, findings = reconcile(node)
    assert [] == [finding for finding in findings if not finding["passes"]]
    assert 0 == status


@pytest.mark.parametrize("setup", ["1.6", "2.1"], indirect=True)
def test_lost_records_and_the_way_out(node: Node) -> None:
    """Pulls fail once containerd knows more than we; the commands that are named mend it."""
    image = samples.image_a()
    node.repository.publish(*image.layers)
    reference = node.pull(image).reference
    node.daemon.kill()
    # As after an older backup was restored.
    with closing(sqlite3.connect(node.daemon.root / "metadata.sqlite")) as database:
        database.execute("DELETE FROM snapshots")
        database.commit()
    node.daemon.start()
    node.wait_connected()
    with pytest.raises((CtrError, AssertionError)):
        node.containerd.ctr().run_container(reference, node.containerd.snapshotter, "lost", "true")

    status, findings = reconcile(node)
    assert 1 == status
    lost = [finding for finding in findings if finding["problem"] == "unknown-to-us"]
    assert len(image.layers) <= len(lost)
    for command in dict.fromkeys(c for finding in lost for c in finding["commands"]):
        program, option, namespace, *rest = shlex.split(command)
        assert ("ctr", "-n", "k8s.io") == (program, option, namespace)
        # Another finding may have named it before.
        with suppress(CtrError):
            node.containerd.ctr().run(*rest)
    assert 0 == reconcile(node)[0]
    again = node.pull(image)
    assert ["hit"] * len(image.layers) == again.outcomes
    assert node.containerd.cri.run(again.reference, "true").code == 0
