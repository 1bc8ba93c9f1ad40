"""Commands that are killed between any two steps: each other command says what it can do."""

import shutil
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.root import CONFIRMING, IMPORTED, IMPORTING, claim_root
from tests.importing.killing import KilledError, killed_after
from tests.importing.state import State


def killed(state: State, *flags: str) -> Iterator[int]:
    """Give the number of steps after which the command was killed, on the same state each time."""
    saved = state.directory / "saved"
    shutil.rmtree(saved, ignore_errors=True)
    subprocess.run(["cp", "-a", state.root, saved], check=True)
    for steps in count():
        shutil.rmtree(state.root)
        subprocess.run(["cp", "-a", saved, state.root], check=True)
        try:
            with killed_after(steps):
                assert 0 == state.run(*flags)
        except KilledError:
            yield steps
        else:
            return


def files(state: State) -> list[str]:
    """Read the files of both local snapshots where the daemon has them."""
    return [(state.root / f"snapshots/{i}/fs/file").read_text() for i in (4, 5)]


def test_confirm(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """Until deleting begins it can be undone; then --confirm alone goes on, and that is said."""
    before = state.tree()
    assert 0 == state.run("--apply")
    begun = []
    for steps in killed(state, "--confirm"):
        claim_root(str(state.root), fresh=False).release()
        assert 1 == state.run()
        assert 1 == state.run("--apply")
        capfd.readouterr()
        if not (state.root / CONFIRMING).exists():
            assert 0 == state.run("--undo")
            assert before == state.tree()
            continue
        begun.append(steps)
        assert 1 == state.run("--undo")
        assert "End that with --confirm" in capfd.readouterr().err
        assert 0 == state.run("--confirm")
        assert not state.base.exists()
        assert ["4\n", "5\n"] == files(state)
        claim_root(str(state.root), fresh=False).release()
        assert 1 == state.run("--confirm")
    assert len(begun) > 10


@pytest.mark.parametrize("gone", ["snapshotter/snapshots", "snapshots"])
def test_undo_without_a_directory(state: State, gone: str) -> None:
    """What was deleted by hand is made again; directories come back as far as they are there."""
    assert 0 == state.run("--apply")
    shutil.rmtree(state.root / gone)

    assert 0 == state.run("--undo")
    assert (state.base / "snapshots").is_dir()
    back = Path(state.base / "snapshots/5/fs/file").exists()
    assert back == (gone != "snapshots")


def test_apply_goes_on_without_a_directory(state: State) -> None:
    """A killed import ends also after somebody deleted the links at the old place."""
    assert 0 == state.run("--apply")
    shutil.rmtree(state.base / "snapshots")
    (state.root / IMPORTED).rename(state.root / IMPORTING)

    assert 0 == state.run("--apply")
    assert ["4\n", "5\n"] == files(state)
