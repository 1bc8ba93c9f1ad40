"""What end-to-end tests share: one workspace and one registry with all images."""

import itertools
from collections.abc import Iterator

import pytest

from tests.harness import parts, samples
from tests.harness.node import Node
from tests.harness.node import node as open_node
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace, workspace

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def base() -> Iterator[Workspace]:
    """A directory for everything; nothing may be left of it at the end."""
    with workspace() as made:
        yield made


@pytest.fixture(scope="session")
def registry(base: Workspace) -> Iterator[Registry]:
    """A registry that has all images, that for sandboxes among them."""
    started = Registry.make(parts.find(), base.base / "registry").start()
    for make in (samples.sandbox, samples.image_a, samples.image_b, samples.image_c):
        started.push(make())
    yield started
    started.stop()


@pytest.fixture
def node(base: Workspace, registry: Registry) -> Iterator[Node]:
    """A machine with our daemon and containerd; no layer is published on its tree yet."""
    with open_node(base, f"node-{next(_numbers)}", registry) as made:
        yield made
