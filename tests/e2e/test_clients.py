"""Clients and switches: who gets layers in place, and what the operator is told who does not."""

from collections.abc import Iterator

import pytest

from tests.harness import samples
from tests.harness.configuration import Pull
from tests.harness.ctr import CtrError
from tests.harness.node import Node, Pulled
from tests.harness.node import node as open_node
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace

from .conftest import Setup, next_name

IMAGE = samples.image_a()
SIZES = [len(layer.blob) for layer in IMAGE.layers]

only_transfer = pytest.mark.parametrize("setup", ["2.1-transfer"], indirect=True)
only_local = pytest.mark.parametrize("setup", ["2.1"], indirect=True)


@pytest.fixture
def node(node: Node) -> Node:
    """The machine, with all layers of image A on its tree."""
    node.repository.publish(*IMAGE.layers)
    return node


@pytest.fixture
def blind(base: Workspace, registry: Registry, setup: Setup) -> Iterator[Node]:
    """The same machine, its containerd without the switch that makes it say which layer it wants.

    For the local pull that is the default of every version.
    """
    made = open_node(
        *(base, next_name(), registry, IMAGE.layers),
        version=setup.version,
        pull=setup.pull,
        annotations=False,
    )
    with made as node:
        yield node


def _runs(node: Node, reference: str, namespace: str = "default") -> None:
    """Check that a container which `ctr` starts sees the files of the image."""
    ctr = node.containerd.ctr(namespace)
    shell = ("/bin/sh", "-c", samples.SHOW_A)
    shown = ctr.run_container(reference, node.containerd.snapshotter, "shows", *shell)
    # `ctr` mounts something at /run, which the CRI does not.
    assert samples.SHOWN_BY_A == shown.replace("run\n", "")


def _hints(node: Node) -> list[str]:
    return [str(line["hint"]) for line in node.daemon.lines() if "hint" in line]


def _all_unasked(pulled: Pulled) -> None:
    assert SIZES == pulled.downloaded
    assert ["miss"] * 5 == pulled.outcomes
    assert ["no-target-label"] * 5 == pulled.reasons


@pytest.mark.parametrize("setup", ["1.6", "1.7"], indirect=True)
def test_ctr_of_1_downloads_and_the_log_says_why(node: Node) -> None:
    """`ctr images pull` of 1.x never asks: all is unpacked as usual, and the reason is named."""
    pulled = node.pull_with_ctr(IMAGE)

    _all_unasked(pulled)
    (hint,) = _hints(node)
    assert "ctr images pull of containerd 1.x" in hint
    _runs(node, pulled.reference)


@only_transfer
@pytest.mark.parametrize("published", [5, 2, 0])
def test_ctr_of_2_asks_through_the_transfer_service(
    base: Workspace, registry: Registry, setup: Setup, published: int
) -> None:
    """`ctr images pull` of 2.1 downloads from the first layer on that is not published."""
    layers = IMAGE.layers[:published]
    name = next_name()
    with open_node(base, name, registry, layers, version=setup.version, pull=setup.pull) as node:
        pulled = node.pull_with_ctr(IMAGE)

        assert ["hit"] * published + ["miss"] * (5 - published) == pulled.outcomes
        assert [0] * published + SIZES[published:] == pulled.downloaded
        _runs(node, pulled.reference)
        assert [] == _hints(node)


@only_transfer
def test_ctr_of_2_in_a_second_namespace(node: Node) -> None:
    """What the CRI has pulled is in place for another namespace too, and stays so without it."""
    reference = node.pull(IMAGE).reference

    pulled = node.pull_with_ctr(IMAGE, namespace="other")

    # The lowest layer has one name for all namespaces, so that containerd may know it already.
    assert ["hit"] * 5 == pulled.outcomes
    assert [0] * 5 == pulled.downloaded
    node.containerd.cri.remove_image(reference)
    _runs(node, reference, "other")


@only_transfer
def test_ctr_of_2_that_pulls_by_itself(node: Node) -> None:
    """With --local it does as that of 1.x does."""
    pulled = node.pull_with_ctr(IMAGE, "--local")

    _all_unasked(pulled)
    (hint,) = _hints(node)
    assert "--local" in hint
    _runs(node, pulled.reference)


@only_local
def test_ctr_of_2_needs_the_transfer_service_to_know_us(node: Node) -> None:
    """Where only the CRI is configured, it says so; with --local it downloads."""
    with pytest.raises(CtrError, match="no unpack platforms defined"):
        node.pull_with_ctr(IMAGE)

    pulled = node.pull_with_ctr(IMAGE, "--local")

    _all_unasked(pulled)
    _runs(node, pulled.reference)


def test_without_the_switch_all_is_downloaded(blind: Node, setup: Setup) -> None:
    """The container is right all the same, and the hint names the switch of this version."""
    pulled = blind.pull(IMAGE)

    assert SIZES == pulled.downloaded
    assert ["no-digest-label"] * 5 == pulled.reasons
    result = blind.containerd.cri.run(pulled.reference, "sh", "-c", samples.SHOW_A)
    assert (0, samples.SHOWN_BY_A) == (result.code, result.stdout)
    (hint,) = _hints(blind)
    transfer = setup.pull is Pull.TRANSFER
    assert (
        'enable_remote_snapshot_annotations = "true"'
        if transfer
        else "disable_snapshot_annotations = false"
    ) in hint


@only_transfer
def test_ctr_of_2_without_the_switch(blind: Node) -> None:
    """The same for `ctr images pull`, which goes through the transfer service too."""
    pulled = blind.pull_with_ctr(IMAGE)

    assert SIZES == pulled.downloaded
    assert ["no-digest-label"] * 5 == pulled.reasons
    _runs(blind, pulled.reference)
