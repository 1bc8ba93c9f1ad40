"""The command on states that nobody uses: what it says, does, refuses, and takes back."""

import errno
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.directories.old import OldDirectories
from cvmfs_snapshotter.entrypoints.cli import importing
from cvmfs_snapshotter.entrypoints.errors import StartError
from cvmfs_snapshotter.entrypoints.importing import applying, ending
from cvmfs_snapshotter.entrypoints.importing.old import Old, held_still
from cvmfs_snapshotter.entrypoints.root import IMPORTED, IMPORTING, claim_root
from tests.harness import mounts, samples
from tests.harness.repository import Repository
from tests.importing.state import State

IMAGE = samples.image_b()


def file_of(state: State, identifier: int) -> str:
    """Read the file of a local snapshot where the daemon has it."""
    return (state.root / f"snapshots/{identifier}/fs/file").read_text()


def test_a_plan_changes_nothing(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """It names each snapshot with what becomes of it."""
    before = state.tree()

    assert 0 == state.run()
    shown = capfd.readouterr().out
    assert before == state.tree()
    assert [state.base] == list(state.root.iterdir())
    assert f"{IMAGE.chain_ids[2]}: committed, on source s, with a companion\n" in shown
    assert "container: active, local, directory is moved\n" in shown
    assert "5 snapshots, 3 of them on a source, 2 directories to move, 0 in the way\n" in shown


def test_a_plan_as_json(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """One object."""
    assert 0 == state.run("--json")
    shown = json.loads(capfd.readouterr().out)

    assert {
        "identifier": 1,
        "name": f"k8s.io/2/{IMAGE.chain_ids[0]}",
        "kind": "committed",
        "parent": None,
        "source": "s",
        "digest": IMAGE.layers[0].digest,
        "directory": False,
    } == shown["imported"][0]
    assert ([], None) == (shown["left_out"], shown["running"])
    assert (str(state.base), str(state.root)) == (shown["from"], shown["root"])


def test_apply(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """Directories are ours, links are at their old places, and a daemon may start."""
    inode = (state.base / "snapshots/5/fs").stat().st_ino
    assert 0 == state.run("--apply", "--json")

    assert {"imported": 5, "moved": 2, "from": str(state.base)} == json.loads(
        capfd.readouterr().out
    )
    assert ("4\n", "5\n") == (file_of(state, 4), file_of(state, 5))
    assert inode == (state.root / "snapshots/5/fs").stat().st_ino
    assert "5\n" == (state.base / "snapshots/5/fs/file").read_text()
    assert (state.base / "snapshots/5").is_symlink()
    assert [1, 2, 3, 4, 5] == sorted(one.identifier for one in state.snapshots())
    claim_root(str(state.root), fresh=False).release()
    assert 1 == state.run("--apply")
    assert 1 == state.run()
    assert "waits to be given back with --undo" in capfd.readouterr().err


def test_the_old_snapshotter_deletes_no_more_than_links(state: State) -> None:
    """Whatever it does to its directories when it is stopped, files are safe."""
    assert 0 == state.run("--apply")
    for entry in (state.base / "snapshots").iterdir():
        # Go's RemoveAll, which does not follow links either.
        subprocess.run(["rm", "-rf", entry], check=True)

    assert "5\n" == file_of(state, 5)


def test_undo(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """Everything is as it was, and can be imported again."""
    before = state.tree()
    assert 0 == state.run("--apply")
    assert 0 == state.run("--undo")

    assert f"gave 2 directories back to {state.base}\n" in capfd.readouterr().out
    assert before == state.tree()
    with pytest.raises(StartError, match="state of the Go snapshotter"):
        claim_root(str(state.root), fresh=False)
    assert 1 == state.run("--undo")
    assert 0 == state.run("--apply")
    assert "5\n" == file_of(state, 5)


def test_undo_is_refused_after_changes(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """The old snapshotter would know nothing of what was made since; what went does not matter."""
    assert 0 == state.run("--apply")
    known = (state.root / IMPORTED).read_text()
    without = json.loads(known)
    without["snapshots"].pop()
    (state.root / IMPORTED).write_text(json.dumps(without))
    capfd.readouterr()

    assert 1 == state.run("--undo")
    assert "1 snapshots were made since the import" in capfd.readouterr().err
    assert "5\n" == file_of(state, 5)
    more = json.loads(known)
    more["snapshots"].append([99, "gone"])
    (state.root / IMPORTED).write_text(json.dumps(more))
    assert 0 == state.run("--undo")


def test_confirm(
    state: State, original: tuple[Path, Repository], capfd: pytest.CaptureFixture[str]
) -> None:
    """Mounts go, never by force; what they showed stays, and so do our directories."""
    published = original[1].directory_of(IMAGE.layers[0]) / "layerfs"
    place = state.base / "snapshots/1/fs"
    subprocess.run(["mount", "--bind", published, place], check=True)
    try:
        assert 0 == state.run("--apply")
        assert 0 == state.run("--confirm", "--json")
    finally:
        mounts.unmount_below(state.root)
    assert {"from": str(state.base), "unmounted": 1, "left": []} == json.loads(
        capfd.readouterr().out.partition("undo leads back\n")[2]
    )
    assert (published / "bin/busybox").exists()
    assert not state.base.exists()
    assert not (state.root / IMPORTED).exists()
    assert "5\n" == file_of(state, 5)
    assert 1 == state.run("--confirm")


def test_confirm_beside_a_user_of_a_mount(
    state: State, original: tuple[Path, Repository], capfd: pytest.CaptureFixture[str]
) -> None:
    """A mount in use is named, and nothing is deleted; later it goes on."""
    published = original[1].directory_of(IMAGE.layers[0]) / "layerfs"
    place = state.base / "snapshots/1/fs"
    subprocess.run(["mount", "--bind", published, place], check=True)
    try:
        assert 0 == state.run("--apply")
        with (place / "etc/image").open():
            assert 1 == state.run("--confirm")
        assert f"{place} cannot be unmounted: " in capfd.readouterr().err
        assert (published / "bin/busybox").exists()
        assert (state.base / "metadata.db").exists()
        assert 0 == state.run("--confirm")
    finally:
        mounts.unmount_below(state.root)
    assert (published / "bin/busybox").exists()


def test_confirm_when_a_directory_is_there_again(
    state: State, capfd: pytest.CaptureFixture[str]
) -> None:
    """Somebody made it: it may hold anything."""
    assert 0 == state.run("--apply")
    (state.base / "snapshots/5").unlink()
    (state.base / "snapshots/5").mkdir()
    before = state.tree()

    assert 1 == state.run("--confirm")
    assert f"{state.base}/snapshots/5 is there again" in capfd.readouterr().err
    assert before == state.tree()


@pytest.mark.parametrize("flag", ["--confirm", "--undo"])
def test_two_steps_at_once(state: State, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another one ended before this one has the lock is seen."""
    before = state.tree()
    assert 0 == state.run("--apply")

    @contextmanager
    def late(old: Old, address: str) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(ending, "held_still", held_still)
            assert 0 == state.run("--undo")
        with held_still(old, address):
            yield

    with monkeypatch.context() as patch:
        patch.setattr(ending, "held_still", late)
        assert 1 == state.run(flag)
    assert before == state.tree()


def test_what_else_is_there_stays(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """Only what a snapshotter has is deleted."""
    (state.base / "notes").write_text("mine")
    assert 0 == state.run("--apply")
    assert 0 == state.run("--confirm")

    assert "left there: notes" in capfd.readouterr().out
    assert [state.base / "notes"] == list(state.base.iterdir())


def test_a_plan_beside_a_running_snapshotter(
    state: State, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is in the way can be known before it is killed, and how to kill it is said."""
    with state.in_use():
        assert 0 == state.run()
        shown = capfd.readouterr().out
        assert 0 == state.run("--json")
    assert f"before --apply: {state.base}/metadata.db is in use" in shown
    assert "It must be killed, not stopped" in shown
    assert "is in use" in json.loads(capfd.readouterr().out)["running"]


def test_a_running_snapshotter(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """Its lock on the database, or an answer on the socket, are enough."""
    before = state.tree()
    with state.in_use():
        assert 1 == state.run("--apply")
    shown = capfd.readouterr().err
    assert "metadata.db is in use" in shown
    assert "It must be killed, not stopped" in shown
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(state.socket))
        server.listen()
        assert 1 == state.run("--apply")
    assert "somebody answers on" in capfd.readouterr().err
    assert before == state.tree()


@pytest.mark.parametrize("flag", ["--undo", "--confirm"])
def test_no_way_on_beside_the_old_snapshotter(state: State, flag: str) -> None:
    """Started again by mistake, it would lose its files under its feet."""
    assert 0 == state.run("--apply")
    before = state.tree()
    with state.in_use():
        assert 1 == state.run(flag)

    assert before == state.tree()


def test_our_daemon_must_not_run(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """Records cannot be taken from under it."""
    lock = claim_root(str(state.root), fresh=True)
    try:
        assert 1 == state.run("--apply")
    finally:
        lock.release()
    assert "in use by another daemon" in capfd.readouterr().err


def test_a_layer_that_is_nowhere(
    state: State, original: tuple[Path, Repository], capfd: pytest.CaptureFixture[str]
) -> None:
    """It is named with all above it; leaving them out has to be asked for."""
    layers = state.directory / "other"
    other = Repository.make(layers)
    other.publish(*IMAGE.layers[:2])
    state.config.write_text(state.config.read_text().replace(str(original[1].path), str(layers)))
    before = state.tree()

    assert importing.INCOMPLETE == state.run()
    shown = capfd.readouterr().out
    assert f"its layer {IMAGE.layers[2].digest} cannot be used on source 's' (absent)" in shown
    assert "which cannot be taken over (above)" in shown
    assert "2 snapshots, 2 of them on a source, 0 directories to move, 3 in the way" in shown
    assert importing.INCOMPLETE == state.run("--apply")
    assert "3 snapshots cannot be imported" in capfd.readouterr().err
    assert before == state.tree()
    assert 0 == state.run("--skip-missing")
    assert 0 == state.run("--apply", "--skip-missing")
    assert [1, 2] == [one.identifier for one in state.snapshots()]
    assert before == state.tree()


def test_a_source_that_is_not_there(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """That passes: it is never a reason to leave anything out."""
    text = state.config.read_text()
    state.config.write_text(text.replace('cvmfs"\n', 'nothing"\n'))

    assert importing.INCOMPLETE == state.run("--apply", "--skip-missing", "--json")
    shown = json.loads(capfd.readouterr().out)
    assert ("source", False) == (
        shown["left_out"][0]["obstacle"],
        shown["left_out"][0]["final"],
    )


def test_after_a_stop(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """The old snapshotter has deleted all files: what is lost is named."""
    for path in (state.base / "snapshots").iterdir():
        shutil.rmtree(path)

    assert importing.INCOMPLETE == state.run()
    assert "deletes them when it is stopped instead of killed (files-gone)" in (
        capfd.readouterr().out
    )


class _CrashError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    "place", ["record_import", "open_journal", "OldDirectories", "replace", "close_journal"]
)
@pytest.mark.parametrize("then", ["--apply", "--undo"])
def test_interrupted(state: State, place: str, then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it ends: no daemon starts on half of it, and it goes on, or back."""
    before = state.tree()

    def crash(*_arguments: object, **_named: object) -> None:
        raise _CrashError

    with monkeypatch.context() as patch:
        patch.setattr(applying, place, crash)
        with pytest.raises(_CrashError):
            state.run("--apply")
    with pytest.raises(StartError, match=r"Go snapshotter|was interrupted"):
        claim_root(str(state.root), fresh=False)
    opened = (state.root / IMPORTING).exists()
    assert opened == (place not in {"record_import", "open_journal"})

    if then == "--undo":
        assert int(not opened) == state.run("--undo")
        assert before == state.tree()
    assert 0 == state.run("--apply")
    assert "5\n" == file_of(state, 5)
    assert 5 == len(state.snapshots())
    claim_root(str(state.root), fresh=False).release()


@pytest.mark.parametrize("then", ["--apply", "--undo"])
def test_interrupted_between_two_directories(
    state: State,
    then: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One is moved without its link, the other is where it was."""
    before = state.tree()

    class FullDisk(OldDirectories):
        def hand_over(self, identifiers: Iterable[int]) -> None:
            with monkeypatch.context() as patch:
                patch.setattr(Path, "symlink_to", _full)
                super().hand_over(identifiers)

    with monkeypatch.context() as patch:
        patch.setattr(applying, "OldDirectories", FullDisk)
        assert 1 == state.run("--apply")
    assert "cannot be moved: No space left on device" in capfd.readouterr().err
    assert not (state.base / "snapshots/4").exists()
    assert (state.base / "snapshots/5/fs/file").exists()

    assert 0 == state.run(then)
    if then == "--undo":
        assert before == state.tree()
    else:
        assert ("4\n", "5\n") == (file_of(state, 4), file_of(state, 5))


def _full(_path: Path, _target: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("place", ["OldDirectories", "_forget", "forget_journal"])
@pytest.mark.parametrize("then", ["--undo", "--apply"])
def test_an_interrupted_undo(
    state: State, place: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on, or forth as long as the records are there."""
    before = state.tree()
    assert 0 == state.run("--apply")

    def crash(*_arguments: object) -> None:
        raise _CrashError

    with monkeypatch.context() as patch:
        patch.setattr(ending, place, crash)
        with pytest.raises(_CrashError):
            state.run("--undo")
    with pytest.raises(StartError, match="was interrupted"):
        claim_root(str(state.root), fresh=True)
    if then == "--apply" and place != "forget_journal":
        assert 0 == state.run("--apply")
        assert "5\n" == file_of(state, 5)
        return
    if then == "--apply":
        assert 1 == state.run("--apply")
    assert 0 == state.run("--undo")
    assert before == state.tree()


@pytest.mark.parametrize("flags", [[], ["--apply"]])
def test_nothing_to_import(
    state: State, flags: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """No state, a damaged one, one of others, and no step without an import are told."""
    (state.base / "metadata.db").chmod(0o666)
    assert 1 == state.run(*flags)
    assert "metadata.db cannot be relied on" in capfd.readouterr().err
    (state.base / "metadata.db").chmod(0o600)
    (state.base / "metadata.db").write_bytes(b"nothing" * 1000)
    assert 1 == state.run(*flags)
    assert "neither of its two meta pages" in capfd.readouterr().err
    shutil.rmtree(state.base)
    assert 1 == state.run(*flags)
    assert "holds no state of the Go snapshotter" in capfd.readouterr().err
    assert 1 == state.run("--confirm")
    assert 1 == state.run("--undo")


@pytest.mark.parametrize("flags", [[], ["--apply"]])
def test_a_root_that_is_not_new(
    state: State, flags: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """What is there belongs to somebody."""
    (state.root / "snapshots/7").mkdir(parents=True)
    assert 1 == state.run(*flags)
    assert "is not empty" in capfd.readouterr().err
    shutil.rmtree(state.root / "snapshots")
    (state.root / "metadata.sqlite").write_text("")
    assert 1 == state.run(*flags)
    assert "has records of this snapshotter already" in capfd.readouterr().err


@pytest.mark.parametrize("where", ["", "/inside"])
def test_a_root_inside_of_the_old_state(
    state: State, where: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the end it would be deleted."""
    for path in (state.base / "snapshots").iterdir():
        shutil.rmtree(path)
    assert 1 == state.run("--root", f"{state.base}{where}", "--apply")
    assert "is inside of the old state" in capfd.readouterr().err


def test_another_file_system(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """Directories cannot be renamed across; they are not copied instead."""
    other = state.directory / "other"
    other.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", other], check=True)
    try:
        assert 1 == state.run("--root", f"{other}/root", "--apply")
    finally:
        mounts.unmount_below(other)
    assert "on different file systems" in capfd.readouterr().err


def test_a_damaged_journal(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is guessed from it."""
    assert 0 == state.run("--apply")
    (state.root / IMPORTED).write_text("{}")
    assert 1 == state.run("--undo")
    assert "is damaged" in capfd.readouterr().err


@pytest.mark.parametrize("seconds", ["nan", "0", "-1", "1e9", "x"])
def test_bad_patience(state: State, seconds: str) -> None:
    """It is a matter of usage: 2."""
    with pytest.raises(SystemExit) as raised:
        state.run("--patience", seconds)
    assert 2 == raised.value.code


def test_a_bad_configuration(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    """It is a matter of usage: 2."""
    state.config.write_text("zzz = 1")
    assert 2 == state.run()
    assert "unknown key" in capfd.readouterr().err
