"""Records of a daemon that ran before the import, as after the installation of a package."""

import pytest

from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from cvmfs_snapshotter.entrypoints.importing import applying
from cvmfs_snapshotter.entrypoints.root import IMPORTING
from tests.importing.killing import KilledError
from tests.importing.state import State
from tests.importing.test_killed import files, killed


def run_daemon(state: State, snapshot: Snapshot | None = None) -> int:
    """Make the records of a daemon, and give the highest identifier that it gave."""
    path = state.root / "metadata.sqlite"
    prepare_database(path)
    store = open_store(path)
    given = max(store.new_identifier() for _ in range(1000))
    if snapshot is not None:
        store.write(lambda t: t.insert(snapshot))
    store.close()
    return given


def test_they_make_way(state: State) -> None:
    """They are kept under another name, and what they gave is not given again."""
    given = run_daemon(state)

    assert 0 == state.run()
    assert 0 == state.run("--apply")
    assert [1, 2, 3, 4, 5] == sorted(one.identifier for one in state.snapshots())
    assert 1 == len(list(state.root.glob("metadata.sqlite.replaced-*")))
    store = open_store(state.root / "metadata.sqlite")
    try:
        assert given < store.new_identifier()
    finally:
        store.close()


@pytest.mark.parametrize("flags", [[], ["--apply"]])
def test_records_of_something_do_not(
    state: State, flags: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Containers and images may stand on it; it is said what to do."""
    view = Snapshot(
        identifier=7,
        name="k8s.io/1/view",
        parent_identifier=0,
        parent="",
        kind=Kind.VIEW,
        created_at=1,
        updated_at=1,
        labels={},
        usage=None,
    )
    run_daemon(state, view)
    before = (state.root / "metadata.sqlite").read_bytes()

    assert 1 == state.run(*flags)
    shown = capfd.readouterr().err
    assert "has records of this snapshotter already, of 1 snapshots" in shown
    assert "or choose another --root" in shown
    assert before == (state.root / "metadata.sqlite").read_bytes()


@pytest.mark.parametrize("flags", [[], ["--apply"]])
def test_a_restore_that_was_interrupted(
    state: State, flags: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """What it was about to put there may be records of something."""
    run_daemon(state)
    path = state.root / "metadata.sqlite"
    path.rename(path.with_name("metadata.sqlite.restoring-1"))

    assert 1 == state.run(*flags)
    assert "a restore of" in capfd.readouterr().err


@pytest.mark.parametrize("place", ["OldDirectories", "replace", ""])
def test_an_undo_that_is_killed(
    state: State,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Never do the empty ones count as those of the import: it goes on with its own, or back."""
    before = state.tree()
    run_daemon(state)

    def crash(*_arguments: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        if place:
            patch.setattr(applying, place, crash)
            with pytest.raises(KilledError):
                state.run("--apply")
        else:
            assert 0 == state.run("--apply")
    outcomes = set()
    for _steps in killed(state, "--undo"):
        if not (state.root / IMPORTING).exists():
            continue
        capfd.readouterr()
        outcomes.add(state.run("--apply"))
        if "being undone" not in capfd.readouterr().err:
            assert 5 == len(state.snapshots())
            assert ["4\n", "5\n"] == files(state)
        assert 0 == state.run("--undo")
        assert before == state.tree()
    assert {0, 1} == outcomes
