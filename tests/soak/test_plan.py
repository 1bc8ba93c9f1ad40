"""The order in which a node is disturbed."""

import pytest

from .disturbances import ALL, Disturbance
from .run import plan

TAKES = 15.0


@pytest.mark.parametrize("seconds", [1.0, 180.0, 1800.0])
@pytest.mark.parametrize("seed", range(5))
def test_everything_is_done_and_the_daemon_is_left_alive_at_the_end(
    seconds: float, seed: int
) -> None:
    """Each thing is done once before any is done again, and the daemon restarted early alone."""
    done: list[Disturbance] = []
    for each in plan(lambda: len(done) * TAKES, seconds, seed):
        done.append(each)  # noqa: PERF402 - the clock looks at it meanwhile
    restarts = [number for number, each in enumerate(done) if each.restarts_daemon]

    assert set(ALL) == set(done[: len(ALL)])
    assert seconds <= len(done) * TAKES
    assert max(restarts) < len(done) / 2
