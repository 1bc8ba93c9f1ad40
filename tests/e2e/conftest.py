"""What end-to-end tests share: one workspace, one registry with all images, all containerds.

A test that asks for `node` runs with each version of containerd, with 2.1 in both ways to pull. A
test of a detail that has nothing to do with containerd names one of them:

    @pytest.mark.parametrize("setup", ["1.6"], indirect=True)
"""

import itertools
from collections.abc import Iterator

import attrs
import pytest

from tests.harness import parts, samples
from tests.harness.configuration import Pull
from tests.harness.node import Node
from tests.harness.node import node as open_node
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace, workspace

_numbers = itertools.count(1)


def next_name() -> str:
    """Give a name for the directory of a machine."""
    return f"node-{next(_numbers)}"


@attrs.frozen
class Setup:
    """A version of containerd and how its CRI pulls."""

    version: str
    pull: Pull = Pull.LOCAL


SETUPS = {
    "1.6": Setup("1.6"),
    "1.7": Setup("1.7"),
    "2.1": Setup("2.1"),
    "2.1-transfer": Setup("2.1", Pull.TRANSFER),
}


@pytest.fixture(params=list(SETUPS))
def setup(request: pytest.FixtureRequest) -> Setup:
    """One of the versions of containerd in use."""
    return SETUPS[request.param]


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
def node(base: Workspace, registry: Registry, setup: Setup) -> Iterator[Node]:
    """A machine with our daemon and containerd; no layer is published on its tree yet."""
    version, pull = setup.version, setup.pull
    with open_node(base, next_name(), registry, version=version, pull=pull) as made:
        yield made
