"""What purging the package takes of the state, and what it leaves."""

import fcntl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.parts import ROOT
from tests.packaging.clean import STATE, Clean, clean

SCRIPT = ROOT / "deploy/debian/postrm"

IMPORT = "an import from the Go program is in it that was neither confirmed nor taken back"

DPKG = "DPKG_MAINTSCRIPT_PACKAGE=cvmfs-snapshotter"
"""By which programs know that dpkg runs a script."""


@pytest.fixture(scope="module")
def tree() -> Iterator[Clean]:
    """Give a clean tree, which all tests here use."""
    with clean() as made:
        yield made


@pytest.fixture
def state(tree: Clean) -> Iterator[Path]:
    """Give a state directory as a daemon makes it, with records and no snapshot."""
    made = tree.path / STATE
    for name in ("companions/shared", "snapshots", "l", "reserve", "backups"):
        (made / name).mkdir(parents=True)
    for name in (
        "lock",
        "metadata.sqlite",
        "metadata.sqlite-wal",
        "reserve/0",
        "backups/b.sqlite",
    ):
        (made / name).write_text("ours")
    (made / "l/s").symlink_to("../companions/shared")
    yield made
    subprocess.run(["rm", "-rf", made], check=True)


def purge(tree: Clean) -> str:
    """Run the script of the package as dpkg does at the end."""
    return tree.run("env", DPKG, "sh", "-c", SCRIPT.read_text(), "postrm", "purge")


def names(directory: Path) -> set[str]:
    """Tell all there is in a directory."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def test_what_holds_no_snapshot_goes(tree: Clean, state: Path) -> None:
    """The directory with it; a second time there is nothing to say."""
    (state / "metadata.sqlite.replaced-20260101T000000.000000Z").write_text("ours")

    assert "" == purge(tree)
    assert not state.exists()
    assert "" == purge(tree)


def test_an_empty_directory_goes(tree: Clean, state: Path) -> None:
    """systemd makes it, also for a daemon that never came to anything."""
    subprocess.run(["find", state, "-mindepth", "1", "-delete"], check=True)

    assert "" == purge(tree)
    assert not state.exists()


def _local(state: Path) -> None:
    (state / "snapshots/1").mkdir()


def _remote(state: Path) -> None:
    (state / "l/1").symlink_to("/cvmfs/unpacked.cern.ch/.layers/ab/abcd/layerfs")


def _companion(state: Path) -> None:
    (state / "l/1a").symlink_to("../companions/1/above")


def _go_program(state: Path) -> None:
    (state / "snapshotter").mkdir()


def _import(state: Path) -> None:
    (state / "import.json").write_text("{}")


def _open_import(state: Path) -> None:
    _go_program(state)
    (state / "import.open.json").write_text("{}")


def _file_of_others(state: Path) -> None:
    (state / "notes").write_text("mine")


def _hidden(state: Path) -> None:
    (state / ".notes").mkdir()


def _link(state: Path) -> None:
    (state / "snapshots").rmdir()
    (state / "snapshots").symlink_to("/srv")


def _no_records(state: Path) -> None:
    (state / "metadata.sqlite").unlink()


def _no_lock(state: Path) -> None:
    (state / "lock").unlink()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_local, "it holds snapshots, which containers or images stand on"),
        (_remote, "it holds snapshots, which containers or images stand on"),
        (_companion, "it holds snapshots, which containers or images stand on"),
        (_go_program, "the state of the Go program is in it"),
        (_import, IMPORT),
        (_open_import, IMPORT),
        (_file_of_others, f"/{STATE}/notes in it was not made by this program"),
        (_hidden, f"/{STATE}/.notes in it was not made by this program"),
        (_link, "directories in it are links"),
        (_no_records, "it was not made by this program alone"),
        (_no_lock, "it was not made by this program alone"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_what_may_be_needed_stays(
    tree: Clean, state: Path, change: Callable[[Path], None], reason: str
) -> None:
    """Nothing at all is deleted then, and the reason is told."""
    change(state)
    before = names(state)

    assert f"cvmfs-snapshotter: /{STATE} stays: {reason}\n" == purge(tree)
    assert before == names(state)


def test_what_a_daemon_uses_stays(tree: Clean, state: Path) -> None:
    """One that was started by hand, or is installed in another way."""
    before = names(state)
    with (state / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        assert f"cvmfs-snapshotter: /{STATE} stays: a daemon is using it\n" == purge(tree)

    assert before == names(state)


def test_a_link_stays(tree: Clean, state: Path) -> None:
    """So does what it leads to, and it is told."""
    elsewhere = state.with_name("elsewhere")
    state.rename(elsewhere)
    state.symlink_to("elsewhere")
    before = names(elsewhere)

    assert f"cvmfs-snapshotter: /{STATE} stays: it is a link" in purge(tree)
    assert state.is_symlink()
    assert before == names(elsewhere)
    subprocess.run(["rm", "-rf", elsewhere], check=True)


def test_what_is_mounted_there_stays(tree: Clean, state: Path) -> None:
    """Files of another file system are nobody's to delete on the way."""
    mounted = f"/{STATE}/backups"
    script = (
        f'mount -t tmpfs tmpfs {mounted}; : >{mounted}/b; sh -c "$1" postrm purge; ls {mounted}'
    )
    before = names(state)

    said = tree.run("env", DPKG, "sh", "-c", script, "sh", SCRIPT.read_text())

    assert f"cvmfs-snapshotter: /{STATE} stays: a file system is mounted in it\nb\n" == said
    assert before == names(state)


def test_a_file_system_of_its_own_is_emptied(tree: Clean, state: Path) -> None:
    """Where the state has one, that is the administrator's to take away."""
    (state / "lost+found").mkdir()
    script = f'mount --bind /{STATE} /{STATE}; sh -c "$1" postrm purge'

    said = tree.run("env", DPKG, "sh", "-c", script, "sh", SCRIPT.read_text())

    assert f"cvmfs-snapshotter: /{STATE} stays: rmdir: failed to remove" in said
    assert {"lost+found"} == names(state)
