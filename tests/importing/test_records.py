"""The new records: whole before anything is moved, and given up where they cannot be read."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cvmfs_snapshotter.domain.importing import ImportPlan
from cvmfs_snapshotter.domain.usecases.context import Context
from cvmfs_snapshotter.domain.usecases.import_snapshots import record_import
from cvmfs_snapshotter.entrypoints.importing import applying
from tests.harness.disks import fill, small_disk
from tests.importing.state import State


def test_a_disk_that_gets_full(
    state: State, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Records that are committed, and do not get into the file itself, are none."""
    before = state.tree()
    fillers: list[Path] = []

    def record_and_fill(context: Context, plan: ImportPlan) -> None:
        record_import(context, plan)
        staged = state.root / "metadata.sqlite.importing"
        with closing(sqlite3.connect(staged, isolation_level=None)) as database:
            database.execute("CREATE TABLE more AS SELECT zeroblob(1000000) AS bytes")
        fillers.append(fill(state.root))

    with small_disk(state.root):
        with monkeypatch.context() as patch:
            patch.setattr(applying, "record_import", record_and_fill)
            assert 1 == state.run("--apply")
        assert "the disk is full" in capfd.readouterr().err
        assert before == state.tree()
        assert [] == list(state.root.glob("metadata.sqlite*"))
        assert [] == list(state.root.glob("import*"))
        fillers[0].unlink()
        assert 0 == state.run("--apply")
        assert 5 == len(state.snapshots())


def test_undo_with_records_that_cannot_be_read(
    state: State, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is refused, because snapshots may have been made since; it can be asked for even so."""
    before = state.tree()
    assert 0 == state.run("--apply")
    database = state.root / "metadata.sqlite"
    database.write_bytes(b"x" * database.stat().st_size)
    (state.root / "snapshots/6/fs").mkdir(parents=True)

    assert 1 == state.run("--undo")
    shown = capfd.readouterr().err
    assert "cannot be read" in shown
    assert "--undo --discard" in shown
    assert (state.root / "snapshots/5/fs/file").exists()
    assert 0 == state.run("--undo", "--discard")
    assert before == state.tree()
    assert [] == list((state.root / "snapshots").iterdir())
    assert not database.exists()
