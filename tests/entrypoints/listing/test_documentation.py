"""The outputs that the documentation shows."""

import re
import shlex
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.cli.flags import DEFAULT_ROOT
from tests.harness.parts import ROOT

from .conftest import Run

PAGE = ROOT / "docs" / "commands.md"
BLOCK = re.compile(r"```console\n\$ cvmfs-snapshotter ([^\n]*)\n(.*?)```", re.DOTALL)


def test_outputs_are_real(root: Path, run: Run) -> None:
    """What the page shows is what the commands print, but for the path of the state directory."""
    shown = [(shlex.split(command), text) for command, text in BLOCK.findall(PAGE.read_text())]
    assert [["ls"], ["tree"], ["info"]] == [command[:1] for command, _ in shown[:-1]]

    for command, text in shown[:-1]:
        status, out, err = run(*command)
        assert (0, "") == (status, err)
        assert out.replace(str(root), DEFAULT_ROOT) == text


def test_the_configuration_is_real(capsys: pytest.CaptureFixture[str]) -> None:
    """So is what the page shows of the defaults."""
    command, text = BLOCK.findall(PAGE.read_text())[-1]

    assert 0 == main(shlex.split(command))
    assert capsys.readouterr().out == text
