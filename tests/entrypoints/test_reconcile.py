"""The command that compares a state directory with what it should be."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.bolt import ContainerdError
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.logs.logger import open_log
from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.domain.containerd import ContainerdRecords, KnownSnapshot
from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter
from cvmfs_snapshotter.entrypoints import reconciling
from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.cli.reconcile import NOT_ALL
from cvmfs_snapshotter.entrypoints.compose import compose
from cvmfs_snapshotter.entrypoints.config import load_config
from cvmfs_snapshotter.entrypoints.root import claim_root, database_path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a state directory with a committed snapshot and an active one on it."""
    (tmp_path / "layers").mkdir()
    configuration(tmp_path).write_text(
        f'[[source]]\nname = "s"\nkind = "directory"\npath = "{tmp_path}/layers"\n'
    )
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    DiskDirectories(str(root)).prepare()
    prepare_database(Path(database_path(str(root))))
    with snapshotter_on(root) as snapshotter:
        snapshotter.prepare("key", "", {})
        snapshotter.commit("base", "key", {}, "")
        snapshotter.prepare("active", "base", {})
    return root


def configuration(base: Path) -> Path:
    """Give the path of the configuration file."""
    return base / "config.toml"


@contextmanager
def snapshotter_on(root: Path) -> Iterator[Snapshotter]:
    """Give what a daemon on a state directory has, for as long as the block."""
    store = open_store(Path(database_path(str(root))))
    config = load_config(str(configuration(root.parent)))
    parts = compose(str(root), config, store, open_log(40).logger)
    try:
        yield parts.snapshotter
    finally:
        parts.probes.close()
        store.close()


def reconcile(root: Path, *flags: str) -> int:
    """Run the command."""
    config = str(configuration(root.parent))
    return main(["reconcile", "--root", str(root), "--config", config, *flags])


@pytest.fixture
def containerd(monkeypatch: pytest.MonkeyPatch) -> list[ContainerdRecords | ContainerdError]:
    """Give what containerd's database has at each look; the last entry stays."""
    snapshots = (KnownSnapshot("n", "b", "base", ""), KnownSnapshot("n", "a", "active", "b"))
    looks: list[ContainerdRecords | ContainerdError] = [ContainerdRecords(snapshots, (), {})]

    def read(_root: Path, _snapshotter: str) -> ContainerdRecords:
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(found, ContainerdError):
            raise found
        return found

    monkeypatch.setattr(reconciling, "read_records", read)
    return looks


@pytest.mark.usefixtures("containerd")
@pytest.mark.parametrize("flags", [[], ["--apply"]])
def test_what_fits(root: Path, flags: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing to do is success."""
    assert 0 == reconcile(root, *flags)
    assert ("everything fits\n", "") == capfd.readouterr()
    assert 0 == reconcile(root, "--json", *flags)
    shown = json.loads(capfd.readouterr().out)
    assert {"findings": [], "containerd": {"compared": True, "detail": None}} == shown


@pytest.mark.parametrize("flags", [[], ["--apply"]])
def test_what_fits_without_containerd(
    root: Path, flags: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Where containerd's records are missing that is said, and the status is another."""
    assert NOT_ALL == reconcile(root, "--containerd-root", str(root), *flags)
    shown = capfd.readouterr()
    assert "everything that was compared fits\n" == shown.out
    assert "containerd's records were not compared: " in shown.err


def test_containerd_that_is_lost_in_between(
    root: Path, containerd: list[ContainerdRecords | ContainerdError]
) -> None:
    """What the second look could not see any more does not count as fit."""
    containerd[:] = [ContainerdRecords((), (), {}), ContainerdError("it is gone")]

    assert NOT_ALL == reconcile(root)


def test_what_passes(
    root: Path,
    containerd: list[ContainerdRecords | ContainerdError],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What goes away by itself is named, and success."""
    containerd[:] = [ContainerdRecords((), (), {})]

    assert 0 == reconcile(root)
    assert "its next garbage collection removes it" in capfd.readouterr().out


def test_it_works_beside_a_daemon(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Comparing needs no lock; mending does, and says how to get on."""
    shutil.rmtree(root / "snapshots/2")
    lock = claim_root(str(root), fresh=False)
    try:
        assert 1 == reconcile(root)
        assert "missing-directory); reconcile --apply mends it" in capfd.readouterr().out
        assert 1 == reconcile(root, "--apply")
        assert "another" in capfd.readouterr().err
    finally:
        lock.release()
    assert not (root / "snapshots/2").exists()


@pytest.mark.usefixtures("containerd")
def test_apply(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is safe is mended, and then fits."""
    shutil.rmtree(root / "snapshots/2")
    (root / "l/1").symlink_to("/elsewhere")
    (root / "snapshots/50/fs").mkdir(parents=True)
    assert 1 == reconcile(root)
    assert 0 == reconcile(root, "--apply")
    assert 0 == reconcile(root)

    assert "everything fits" in capfd.readouterr().out
    assert (root / "snapshots/2/fs").is_dir()
    assert "../snapshots/1/fs" == str((root / "l/1").readlink())


def test_json(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One object with what is wrong, whether it is mended, and the commands where it is not."""
    (root / "snapshots/50/fs").mkdir(parents=True)
    (root / "snapshots/50/fs/data").touch()
    assert 1 == reconcile(root, "--json", "--containerd-root", str(root))
    shown = json.loads(capfd.readouterr().out)

    (finding,) = shown["findings"]
    assert "unknown-directory" == finding["problem"]
    assert "directory 50" == finding["subject"]
    assert not finding["safe"]
    path = f"{root}/snapshots/50"
    assert f"rm -rf --one-file-system {path} && rm -f {root}/l/50" == finding["commands"][-1]
    assert not shown["containerd"]["compared"]
    assert "--containerd-root" in shown["containerd"]["detail"]
    assert 1 == reconcile(root, "--apply")
    assert (root / "snapshots/50/fs/data").exists()


@pytest.mark.parametrize("flags", [[], ["--apply"]])
def test_without_records(
    tmp_path: Path, flags: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong path is not taken for an empty state; nothing is made there."""
    configuration(tmp_path).write_text("")
    (tmp_path / "root").mkdir()

    assert 1 == reconcile(tmp_path / "root", *flags)
    assert "no daemon has ever run" in capfd.readouterr().err
    assert [] == list((tmp_path / "root").iterdir())


@pytest.mark.parametrize("flags", [[], ["--apply"]])
def test_damaged_records(root: Path, flags: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """They are named, and left as they are."""
    path = Path(database_path(str(root)))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(b"damaged" * 1000)

    assert 1 == reconcile(root, *flags)
    assert "cannot be read as a database" in capfd.readouterr().err
    assert b"damaged" * 1000 == path.read_bytes()


@pytest.mark.parametrize("flags", [[], ["--apply"]])
def test_another_configuration(
    root: Path, flags: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """By one in which the source is elsewhere, everything would look lost, or be linked there."""
    with closing(sqlite3.connect(database_path(str(root)))) as database:
        database.execute("INSERT OR REPLACE INTO sources VALUES ('s', '/elsewhere')")
        database.commit()

    assert 1 == reconcile(root, *flags)
    assert "had source 's' at /elsewhere" in capfd.readouterr().err


@pytest.mark.parametrize("seconds", ["nan", "-1", "0", "1e9", "x"])
def test_bad_patience(root: Path, seconds: str) -> None:
    """It is a matter of usage: 2."""
    with pytest.raises(SystemExit) as raised:
        reconcile(root, "--patience", seconds)
    assert 2 == raised.value.code


def test_a_bad_configuration(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is a matter of usage: 2."""
    configuration(root.parent).write_text("zzz = 1")

    assert 2 == reconcile(root)
    assert "unknown key" in capfd.readouterr().err
