"""The pictures of the documentation ask what the dashboard asks."""

import pytest

from bench import dashboard, screenshot
from bench.prometheus import panels


@pytest.mark.parametrize("chosen", [dashboard.PANELS, screenshot.PANELS])
def test_panels_are_there(chosen: tuple[str, ...]) -> None:
    """Each panel of a picture is one of the dashboard."""
    assert set() == set(chosen) - set(panels())


def test_variables_are_filled_in() -> None:
    """Prometheus gets no variable of Grafana, and no selector that is empty."""
    queries = [target["query"] for targets in panels().values() for target in targets]

    assert queries
    assert [] == [query for query in queries if "$" in query or "{}" in query or "{," in query]


def test_a_query_of_the_page() -> None:
    """The page gets the dashboard's query, with the variables filled in."""
    (target,) = panels()["Decisions by reason"]

    assert (
        "sum by (outcome, reason) (rate(cvmfs_snapshotter_decisions_total[10s])) > 0"
        == target["query"]
    )
    assert "Decisions by reason" == screenshot.PANELS[0]
