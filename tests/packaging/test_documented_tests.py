"""Tests that the documentation names."""

import re

import pytest

from tests.harness.parts import ROOT

FOLDER = ROOT / "tests" / "e2e"


def _named() -> list[tuple[str, str]]:
    """Tell file and function of each test that docs/containerd.md names; `…` is the last file."""
    text = (ROOT / "docs" / "containerd.md").read_text()
    named, file = [], ""
    for where, function in re.findall(r"`(test_\w+|…)(?:::(test_\w+))?`", text):
        file = file if where == "…" else where
        named.append((file, function))
    return named


@pytest.mark.parametrize(("file", "function"), sorted(set(_named())))
def test_each_is_there(file: str, function: str) -> None:
    """So that a reader finds it."""
    text = (FOLDER / f"{file}.py").read_text()

    assert not function or f"\ndef {function}(" in text


def test_the_table_is_there() -> None:
    """Otherwise nothing would be checked."""
    assert len(_named()) > 15
