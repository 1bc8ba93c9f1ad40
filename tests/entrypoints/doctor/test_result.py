"""What checks find, as their code says it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints import doctor

PLACES = 2
"""Arguments that say what is wrong: the name of the check, and the words."""


def findings() -> Iterator[tuple[str, ast.Call]]:
    """Give every place where a check warns or fails, with its file and line."""
    for file in sorted(Path(doctor.__path__[0]).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="warning" | "failure")):
                    yield f"{file.name}:{node.lineno}", node


FINDINGS = dict(findings())


@pytest.mark.parametrize("place", FINDINGS)
def test_nobody_is_left_with_a_finding(place: str) -> None:
    """A command that mends it or shows more, or an advice, comes with each."""
    found = FINDINGS[place]

    assert len(found.args) > PLACES or [keyword.arg for keyword in found.keywords] == ["advice"]


def test_findings_are_found() -> None:
    """Otherwise nothing would be looked at."""
    assert len(FINDINGS) > 40
