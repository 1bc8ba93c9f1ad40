"""The commands about the records of a state directory."""

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.companions import DiskCompanions
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.logs.logger import open_log
from cvmfs_snapshotter.adapters.sqlite import migrate, open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.domain.companions import Directory, Plan
from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter
from cvmfs_snapshotter.domain.usecases import upkeep
from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.compose import Parts, compose
from cvmfs_snapshotter.entrypoints.config import default_config
from cvmfs_snapshotter.entrypoints.databases import UNCERTAIN
from cvmfs_snapshotter.entrypoints.locks import take_lock
from cvmfs_snapshotter.entrypoints.root import claim_root


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make empty records once, in a process of its own."""
    path = tmp_path_factory.mktemp("empty") / "metadata.sqlite"
    prepare_database(path)
    return path


@pytest.fixture
def root(tmp_path: Path, empty: Path) -> Path:
    """Make a state directory with one snapshot."""
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    DiskDirectories(str(root)).prepare()
    shutil.copy(empty, database(root))
    with parts_on(root) as parts:
        parts.snapshotter.prepare("old", "", {})
    return root


def database(root: Path) -> Path:
    """Give the path of the records."""
    return root / "metadata.sqlite"


@contextmanager
def parts_on(root: Path) -> Iterator[Parts]:
    """Give what a daemon that has just started on a state directory has."""
    with Path(os.devnull).open("w") as nowhere, closing(open_store(database(root))) as store:
        parts = compose(str(root), default_config(), store, open_log(40, nowhere).logger)
        upkeep.adopt_orphans(parts.context)
        upkeep.discard_unrecorded_companions(parts.context)
        try:
            yield parts
        finally:
            parts.probes.close()


@contextmanager
def running(root: Path) -> Iterator[None]:
    """Hold what a running daemon holds."""
    lock = claim_root(str(root), fresh=False)
    with parts_on(root) as parts:
        parts.snapshotter.prepare("running", "", {})
        try:
            yield
        finally:
            lock.release()


def db(root: Path, action: str, *words: str) -> int:
    """Run a command."""
    return main(["db", action, "--root", str(root), *words])


def names(snapshotter: Snapshotter) -> set[str]:
    """Tell the names of all snapshots."""
    return {snapshot.name for batch in snapshotter.list([]) for snapshot in batch}


def execute(path: Path, statement: str) -> None:
    """Change a database by hand."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def bytes_of(root: Path) -> dict[str, bytes]:
    """Give the content of every file in a state directory, its lock apart."""
    files = [path for path in root.iterdir() if path.is_file() and path.name != "lock"]
    return {path.name: path.read_bytes() for path in files}


def test_current(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The schema of the records and of this release are shown, and compared by the status."""
    assert 0 == db(root, "current")
    assert "schema 0001; this release has 0001\n" == capsys.readouterr().out
    execute(database(root), "UPDATE alembic_version SET version_num = '9999'")

    assert 1 == db(root, "current", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert {"schema": "9999", "release": "0001", "known": False} == shown


def test_current_without_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A state directory without records is told, and nothing is left in it."""
    tmp_path.chmod(0o700)
    assert 1 == db(tmp_path, "current")
    assert "there are no records" in capsys.readouterr().out
    assert [] == [path for path in tmp_path.iterdir() if path.name != "lock"]


@pytest.mark.parametrize("words", [["check"], ["backup"], ["upgrade"], ["downgrade", "0001"]])
def test_without_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """What needs records says that there are none, and makes none."""
    tmp_path.chmod(0o700)
    assert 1 == db(tmp_path, *words)
    assert "there are no records in" in capsys.readouterr().err
    assert not database(tmp_path).exists()


def test_without_a_state_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped path is not made."""
    assert 1 == db(tmp_path / "none", "check")
    assert "there is no state directory" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_only_root(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else is told a misleading reason."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert 1 == db(root, "check")
    assert "run this as root" in capsys.readouterr().err


def test_check(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sound records are told so, and are not changed by it."""
    before = bytes_of(root)
    assert 0 == db(root, "check")
    assert "the records are sound\n" == capsys.readouterr().out
    assert 0 == db(root, "check", "--json")
    assert {"sound": True, "problems": []} == json.loads(capsys.readouterr().out)
    assert before == bytes_of(root)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE identifiers SET next = 1", "the next identifier would be 1, but 1 is in use"),
        ("DELETE FROM identifiers", "the counter of identifiers is missing"),
        ("INSERT INTO tombstones VALUES (1)", "1 snapshots are recorded as removed, too"),
        ("UPDATE snapshots SET parent_id = 9", "1 snapshots have a parent that is not recorded"),
        (
            "UPDATE snapshots SET kind='committed', local=0, source='s', digest='d', companion=7",
            "1 snapshots have a companion that is not recorded",
        ),
        ("ALTER TABLE sources ADD COLUMN more", "table sources has other columns: more"),
    ],
)
def test_check_finds(
    root: Path, capsys: pytest.CaptureFixture[str], statement: str, says: str
) -> None:
    """Each thing that must not be is named, and the status says that something is wrong."""
    execute(database(root), statement)

    assert 1 == db(root, "check", "--json")
    assert {"sound": False, "problems": [says]} == json.loads(capsys.readouterr().out)


def test_check_of_damage(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that says nothing sensible is found, or the whole is told to be unreadable."""
    with closing(sqlite3.connect(database(root))) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'snapshots'"
        page = connection.execute(query).fetchone()[0]
    with database(root).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 200)

    assert 1 == db(root, "check")
    shown = capsys.readouterr()
    assert "snapshots" in shown.out + shown.err or "malformed" in shown.err


def test_check_of_another_schema(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What must be in it is not known to this release."""
    execute(database(root), "UPDATE alembic_version SET version_num = '9999'")
    assert 1 == db(root, "check")
    assert "has schema '9999'" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["current"], ["check"], ["backup"]])
def test_beside_a_daemon(root: Path, words: list[str]) -> None:
    """Looking and copying disturb nobody."""
    with running(root):
        assert 0 == db(root, *words)


@pytest.mark.parametrize("words", [["restore", __file__], ["upgrade"], ["downgrade", "0001"]])
def test_refused_beside_a_daemon(
    root: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """What changes records that are in use is refused, and says what to do."""
    with running(root):
        assert 1 == db(root, *words)
    assert "in use by another daemon" in (told := capsys.readouterr().err)
    assert "Stop the daemon first" in told


def test_backup(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A backup made beside a daemon has what the daemon has just answered."""
    target = tmp_path / "target.bak"
    with running(root):
        assert 0 == db(root, "backup", "--to", str(target), "--json")
    assert {"backup": str(target)} == json.loads(capsys.readouterr().out)

    with closing(sqlite3.connect(target)) as copy:
        found = copy.execute("SELECT name FROM snapshots ORDER BY name").fetchall()
    assert [("old",), ("running",)] == found
    assert 0o600 == target.stat().st_mode & 0o777


def test_backup_beside_others(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name it goes to where migrations leave theirs."""
    assert 0 == db(root, "backup")
    made = Path(capsys.readouterr().out.strip())

    assert [made] == list((root / "backups").iterdir())


@pytest.mark.parametrize("name", ["target", "target.part"])
def test_backup_overwrites_nothing(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A file that is there stays as it is."""
    (tmp_path / name).write_text("precious")
    assert 1 == db(root, "backup", "--to", str(tmp_path / "target"))
    assert "exists" in (told := capsys.readouterr().err) or "is there already" in told
    assert "precious" == (tmp_path / name).read_text()


def back_up(root: Path, tmp_path: Path) -> Path:
    """Make a backup."""
    target = tmp_path / "target.bak"
    assert 0 == db(root, "backup", "--to", str(target))
    return target


PLAN = Plan(below=(Directory(b"", 0o755, 0, 0, 0),), deleted=(b"gone",))


def test_restore(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The backup's snapshots are there, the replaced file is kept, newer things are left alone."""
    backup = back_up(root, tmp_path)
    with parts_on(root) as parts:
        for key in ("removed", "new", "empty"):
            parts.snapshotter.prepare(key, "", {})
        new = parts.context.store.read(lambda r: r.get("new"))
        removed = parts.context.store.read(lambda r: r.get("removed"))
        empty = parts.context.store.read(lambda r: r.get("empty"))
        parts.snapshotter.remove("removed")
        companion = parts.context.store.new_identifier()
        highest = companion
    assert new is not None
    assert empty is not None
    assert removed is not None
    # As one that a newer snapshot had, on which a container runs.
    DiskCompanions(root).build(companion, PLAN)
    (root / f"snapshots/{new.identifier}/fs/file").write_text("precious")
    capsys.readouterr()

    assert 0 == db(root, "restore", "--json", str(backup))
    shown = json.loads(capsys.readouterr().out)
    kept = Path(shown["kept"])
    assert {"restored": str(backup), "kept": str(kept), "unknown": 3} == shown
    with parts_on(root), closing(sqlite3.connect(root / "metadata.sqlite")) as restored:
        assert ("wal",) == restored.execute("PRAGMA journal_mode").fetchone()
    with closing(sqlite3.connect(kept)) as replaced:
        assert (3,) == replaced.execute("SELECT count(*) FROM snapshots").fetchone()
    for _ in range(2):
        with parts_on(root) as parts:
            parts.snapshotter.cleanup()
            assert {"old"} == names(parts.snapshotter)
            present = sorted(parts.context.directories.present())
            assert [1, new.identifier, empty.identifier] == present
            assert [companion] == list(parts.context.companions.present())
            assert parts.context.store.new_identifier() > highest
    assert "precious" == (root / f"snapshots/{new.identifier}/fs/file").read_text()
    assert 0 == db(root, "check")


@pytest.mark.parametrize("command", ["current", "check"])
def test_reading_touches_nothing(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever directory is named: neither its mode nor a file in it changes."""
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    other.chmod(0o755)
    (other / "lock").write_text("not ours")
    db(other, command)

    assert 0o755 == other.stat().st_mode & 0o777
    assert ["lock"] == [path.name for path in other.iterdir()]
    assert "not ours" == (other / "lock").read_text()
    assert "".join(capsys.readouterr())


def test_identifiers_after_a_restore(root: Path, tmp_path: Path) -> None:
    """None is given again, though nothing but the replaced records tells of it."""
    backup = back_up(root, tmp_path)
    with parts_on(root) as parts:
        given = [parts.context.store.new_identifier() for _ in range(1000)]
    assert 0 == db(root, "restore", str(backup))

    with parts_on(root) as parts:
        assert parts.context.store.new_identifier() > max(given)


def test_restore_of_lost_records(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing can tell how many identifiers were given, many are passed over."""
    backup = back_up(root, tmp_path)
    database(root).unlink()
    capsys.readouterr()

    assert 0 == db(root, "restore", str(backup))
    assert f"{backup} is in place\n" == capsys.readouterr().out.splitlines(keepends=True)[0]
    with parts_on(root) as parts:
        assert parts.context.store.new_identifier() > UNCERTAIN


def test_restore_over_damaged_records(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be read is kept to the last byte."""
    backup = back_up(root, tmp_path)
    database(root).write_bytes(b"no database" * 1000)
    capsys.readouterr()

    assert 0 == db(root, "restore", "--json", str(backup))
    kept = Path(json.loads(capsys.readouterr().out)["kept"])
    assert b"no database" * 1000 == kept.read_bytes()


def _not_one(path: Path) -> None:
    path.write_text("no database")


def _empty(path: Path) -> None:
    path.write_text("")


def _newer(path: Path) -> None:
    execute(path, "UPDATE alembic_version SET version_num = '9999'")


def _other(path: Path) -> None:
    path.unlink()
    execute(path, "CREATE TABLE theirs (x)")


def _torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20000])


@pytest.mark.parametrize("spoil", [Path.unlink, _not_one, _empty, _newer, _other, _torn])
def test_bad_backups(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: object,
) -> None:
    """A backup that cannot be used is found before anything is changed."""
    backup = back_up(root, tmp_path)
    spoil(backup)  # type: ignore[operator]
    before = bytes_of(root)
    capsys.readouterr()

    assert 1 == db(root, "restore", str(backup))
    assert "nothing was changed" in capsys.readouterr().err
    assert before == bytes_of(root)


def test_upgrade(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Records of this release's schema need nothing."""
    assert 0 == db(root, "upgrade")
    assert "schema 0001 already\n" == capsys.readouterr().out
    assert 0 == db(root, "upgrade", "--json")
    assert {"before": "0001", "schema": "0001"} == json.loads(capsys.readouterr().out)


def test_upgrade_that_fails(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason and the backup are named, and the records are as before."""
    monkeypatch.setattr(migrate, "REVISIONS", (*migrate.REVISIONS, "unknown"))
    assert 1 == db(root, "upgrade")
    assert "was left as it is" in (told := capsys.readouterr().err)
    assert "A backup is" in told


def test_downgrade(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A backup is made first; an unknown schema is refused with those that are known."""
    assert 0 == db(root, "downgrade", "0001")
    assert "a backup is" in capsys.readouterr().out
    assert 0 == db(root, "downgrade", "0001", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert Path(shown.pop("backup")).is_file()
    assert {"before": "0001", "schema": "0001"} == shown
    assert 1 == db(root, "downgrade", "0000")
    assert "known are 0001" in capsys.readouterr().err


@pytest.mark.parametrize("backup", ["none", "garbage"])
def test_a_bad_backup_makes_nothing(tmp_path: Path, backup: str) -> None:
    """In a state directory that was never used nothing is made for what cannot be restored."""
    (tmp_path / "garbage").write_text("no database")
    root = tmp_path / "root"
    root.mkdir(mode=0o700)

    assert 1 == db(root, "restore", str(tmp_path / backup))
    assert [] == [path.name for path in root.iterdir() if path.name != "lock"]
    if backup == "none":
        assert not (root / "lock").exists()


@pytest.mark.parametrize(
    "words",
    [["db", "current"], ["db", "check"], ["db", "backup"], ["ls"], ["info", "old"], ["wishlist"]],
    ids=" ".join,
)
def test_an_interrupted_restore(
    root: Path, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What only reads does not pass old records off as those that will count."""
    backup = back_up(root, tmp_path)
    planned = root / "metadata.sqlite.restoring-20260101T000000.000000Z"
    shutil.copy(backup, planned)
    capsys.readouterr()

    assert 1 == main([*words, "--root", str(root)])
    shown = capsys.readouterr()
    assert "" == shown.out
    assert f"a restore of {database(root)} was interrupted" in shown.err
    assert planned.exists()
    assert 0 == db(root, "upgrade")
    assert not planned.exists()
    assert 0 == main([*words, "--root", str(root)])


def test_an_interrupted_restore_beside_another_command(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who else holds the state directory is no daemon that has finished it."""
    shutil.copy(back_up(root, tmp_path), f"{database(root)}.restoring-20260101T000000.000000Z")
    capsys.readouterr()
    lock = take_lock(f"{root}/lock", "it")
    try:
        assert 1 == db(root, "check")
    finally:
        lock.release()
    assert "was interrupted" in capsys.readouterr().err
    command = [sys.executable, "-m", "cvmfs_snapshotter", "reconcile", "--root", str(root)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert 1 == done.returncode
    assert "was interrupted" in done.stderr


def test_copies_of_what_was_killed(root: Path) -> None:
    """Copies of a database, made to look at it, go with the next start; nothing else does."""
    for directory in (root, root / "backups"):
        directory.mkdir(exist_ok=True)
        (directory / ".look-abc").mkdir()
        (directory / ".look-abc" / "metadata.sqlite").write_text("a copy")
        (directory / ".other").mkdir()
    prepare_database(database(root))

    for directory in (root, root / "backups"):
        assert [".other"] == [p.name for p in directory.iterdir() if p.name.startswith(".")]


def test_a_copy_that_somebody_looks_at(root: Path) -> None:
    """It stays, and goes with a start that comes after that."""
    copy = root / ".look-abc"
    copy.mkdir()
    descriptor = os.open(copy, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        prepare_database(database(root))
        assert copy.is_dir()
    finally:
        os.close(descriptor)
    prepare_database(database(root))
    assert not copy.exists()
