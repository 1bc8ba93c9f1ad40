"""Three minutes of what `script/soak` does for half an hour."""

import pytest

from tests.harness.workspace import workspace

from .disturbances import ALL
from .run import soak

SECONDS = 180.0
KINDS = (
    "final run",
    "look again",
    "pull",
    "remove image",
    "remove pod",
    "run",
    "settle",
    "stat",
    "use ctr",
)


@pytest.mark.timeout(1200)  # all that starts and ends takes its time beside the three minutes
def test_three_minutes() -> None:
    """Nothing is lost, nobody hangs, no container sees wrong files, and nothing is left behind."""
    with workspace() as space:
        report = soak(space, SECONDS, seed=1, version="1.6")

    text = report.to_text()
    assert report.good, text
    assert {each.name for each in ALL} == set(report.disturbances)
    assert [] == [kind for kind in KINDS if not report.operations[kind].succeeded], text
    assert {"hit", "absent"} <= set(report.decisions)
