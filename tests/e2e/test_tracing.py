"""Traces of real pulls: containerd and our daemon send to one collector."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Setup, next_name
from tests.harness import samples
from tests.harness.collector import Collector, Got
from tests.harness.node import node as open_node
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace

PREPARE = "containerd.services.snapshots.v1.Snapshots/Prepare"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Give a collector that listens."""
    with Collector().running() as made:
        yield made


def _pulled(spans: list[Got]) -> bool:
    """Tell whether containerd has sent the last span of a pull, and we ours."""
    ours = [span for span in spans if span.name == PREPARE]
    return len(ours) >= 5 and any(span.name == "pull.Pull" for span in spans)


@pytest.mark.parametrize("setup", ["1.7", "2.1"], indirect=True)
def test_a_pull_beside_a_containerd_that_traces(
    base: Workspace, registry: Registry, setup: Setup, collector: Collector
) -> None:
    """Each layer of a traced pull has its span; up to 2.2 containerd tells proxies no trace.

    So each of ours begins a trace. From 2.3 on they would have to have containerd's.
    """
    image = samples.image_a()
    tracing = f'[tracing]\nendpoint = "{collector.endpoint}"\n'
    with open_node(
        base,
        next_name(),
        registry,
        image.layers[:3],
        tracing,
        version=setup.version,
        pull=setup.pull,
        collector=collector.endpoint,
    ) as node:
        node.pull(image)
        spans = collector.wait_for(_pulled)

    targets = {span.attributes.get("cvmfs_snapshotter.target"): span for span in spans}
    decided = [targets[chain].attributes["cvmfs_snapshotter.outcome"] for chain in image.chain_ids]
    assert ["hit"] * 3 + ["miss"] * 2 == decided
    theirs = {span.trace for span in spans if span.service == "containerd"}
    prepares = [span for span in spans if span.name == PREPARE]
    assert theirs
    assert theirs.isdisjoint(span.trace for span in prepares)
    assert {""} == {span.parent for span in prepares}
    assert {"k8s.io"} == {span.attributes["containerd.namespace"] for span in prepares}
