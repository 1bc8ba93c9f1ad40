"""The page about reconcile."""

import re

from cvmfs_snapshotter.domain.findings import Problem
from tests.harness.parts import ROOT


def test_every_problem_is_documented() -> None:
    """In the order of the code, so that none is forgotten."""
    text = (ROOT / "docs" / "reconcile.md").read_text()

    assert [problem.value for problem in Problem] == re.findall(
        r"^\| `([a-z-]+)` \|", text, re.MULTILINE
    )
