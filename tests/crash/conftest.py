"""What is made once for all trials."""

from collections.abc import Sequence

import pytest

from cvmfs_snapshotter.domain.snapshot import Kind

from .core import Place
from .operations import Commit, Make, Operation, Pull
from .trial import Bench
from .world import DELETING, PLAIN, State

SETUP: Sequence[Operation] = (
    Make("a"),
    Commit("base", "a"),
    Pull("p", 0),
    Pull("p", 1),
    Make("container", PLAIN),
    Make("loose"),
    Make("nothing", kind=Kind.VIEW),
    Make("seen", DELETING, kind=Kind.VIEW),
)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Publish the layers."""
    return Bench.make(tmp_path_factory.mktemp("crash"))


@pytest.fixture(scope="session")
def prepared(bench: Bench) -> tuple[Place, State]:
    """Make a state directory with local and remote snapshots, active ones and views."""
    return bench.prepared("prepared", SETUP)
