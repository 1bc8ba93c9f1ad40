"""What the Go snapshotter made after the import, because somebody started it again."""

import json
import shutil
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.root import IMPORTED
from tests.importing.state import State


def make(state: State, name: str) -> Path:
    """Make the upper directory of a container at the old place, as a started Go program does."""
    precious = state.base / f"snapshots/{name}/fs/precious"
    precious.parent.mkdir(parents=True)
    precious.write_text("x")
    return precious


@pytest.mark.parametrize("name", ["6", "new-123"])
def test_a_younger_directory_is_not_deleted(
    state: State, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is named, with what can be done; only then, and if asked for, it is deleted."""
    assert 0 == state.run("--apply")
    precious = make(state, name)
    before = state.tree()
    capfd.readouterr()

    assert 1 == state.run("--confirm")
    shown = capfd.readouterr().err
    assert f"snapshots/{name}; nothing was deleted" in shown
    assert "--confirm --discard" in shown
    assert precious.exists()
    assert before == state.tree()
    assert 0 == state.run("--confirm", "--discard")
    assert not state.base.exists()


def test_a_younger_record_is_not_deleted(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """A container that was committed at the old place has another name and no directory more."""
    assert 0 == state.run("--apply")
    journal = json.loads((state.root / IMPORTED).read_text())
    identifier, name = journal["snapshots"].pop()
    journal["snapshots"].append([identifier, "before it was committed"])
    (state.root / IMPORTED).write_text(json.dumps(journal))

    assert 1 == state.run("--confirm")
    assert f"{identifier} {name!r}" in capfd.readouterr().err
    assert (state.base / "metadata.db").exists()


def test_many_younger_ones(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """The first ones are named."""
    assert 0 == state.run("--apply")
    for number in range(10, 20):
        make(state, str(number))

    assert 1 == state.run("--confirm")
    assert "snapshots/14 and others; nothing was deleted" in capfd.readouterr().err


def test_what_was_left_out_is_not_younger(state: State) -> None:
    """Neither are directories of which the old records said nothing."""
    shutil.rmtree(state.base / "snapshots/5/fs")
    make(state, "77")

    assert 0 == state.run("--apply", "--skip-missing")
    assert 0 == state.run("--confirm")
    assert not state.base.exists()


def test_records_that_cannot_be_read(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """Whether anything is younger cannot be told then, and nothing is deleted."""
    assert 0 == state.run("--apply")
    (state.base / "metadata.db").write_bytes(b"nothing" * 1000)

    assert 1 == state.run("--confirm")
    assert "metadata.db cannot be read" in capfd.readouterr().err
    assert (state.base / "snapshots/5").is_symlink()
    assert 0 == state.run("--confirm", "--discard")
    assert not state.base.exists()
