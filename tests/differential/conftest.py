"""containerd, to unpack layers."""

from collections.abc import Iterator

import pytest

from tests.harness import parts
from tests.harness.containerd import Containerd
from tests.harness.workspace import workspace

from .unpacking import Unpacker


@pytest.fixture(scope="session")
def unpacker() -> Iterator[Unpacker]:
    """Give the diff service of a containerd of its own."""
    with workspace() as made:
        containerd = Containerd.make(
            parts.find(), made.base / "c", made.cgroup, registry="127.0.0.1:1", sandbox="none"
        )
        containerd.start()
        unpacker = Unpacker.connect(containerd)
        yield unpacker
        unpacker.close()
        containerd.stop()
