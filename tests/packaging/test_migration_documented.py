"""The page about the way from the Go snapshotter."""

import re

from cvmfs_snapshotter.domain.importing import Obstacle
from tests.harness.parts import ROOT


def test_every_obstacle_is_documented() -> None:
    """In the order of the code, so that none is forgotten."""
    text = (ROOT / "docs" / "migration.md").read_text()

    assert [obstacle.value for obstacle in Obstacle] == re.findall(
        r"^\| `([a-z-]+)` \|", text, re.MULTILINE
    )
