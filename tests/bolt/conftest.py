"""A containerd that writes its databases."""

from collections.abc import Iterator

import pytest

from tests.harness import parts
from tests.harness.containerd import Containerd
from tests.harness.workspace import workspace


@pytest.fixture(scope="package")
def containerd() -> Iterator[Containerd]:
    """Give a containerd of its own, without our daemon."""
    with workspace() as made:
        containerd = Containerd.make(
            parts.find(), made.base / "c", made.cgroup, registry="127.0.0.1:1", sandbox="none"
        )
        containerd.start()
        yield containerd
        containerd.stop()
