"""The state directory and its records."""

import os
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.entrypoints import databases
from cvmfs_snapshotter.entrypoints.doctor import state
from cvmfs_snapshotter.entrypoints.doctor.result import Outcome
from cvmfs_snapshotter.entrypoints.root import database_path

GIGABYTE = 10**9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a state directory with records."""
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    prepare_database(Path(database_path(str(root))))
    return root


def test_all_is_well(root: Path) -> None:
    """Every check has its result."""
    found = {result.name: result for result in state.check_state(str(root))}
    names = {"state-directory", "state-file-system", "free-space", "page-budget", "records"}
    assert names == set(found)
    assert Outcome.PASS == found["state-directory"].outcome
    assert Outcome.PASS == found["records"].outcome


@pytest.mark.parametrize("path", ["relative", "/a:b", "/none/at/all"])
def test_a_directory_that_cannot_be(path: str) -> None:
    """Nothing else can be looked at then."""
    (found,) = state.check_state(path)
    assert Outcome.FAIL == found.outcome
    assert found.mend or found.advice


def test_modes_and_owners(root: Path) -> None:
    """Others may not write there, and should not read."""

    def look() -> Outcome:
        return state.check_owner(str(root), root.lstat()).outcome

    assert Outcome.PASS == look()
    root.chmod(0o755)
    assert Outcome.WARN == look()
    root.chmod(0o777)
    assert Outcome.FAIL == look()
    root.chmod(0o700)
    os.chown(root, 5, 5)
    found = state.check_owner(str(root), root.lstat())
    assert Outcome.FAIL == found.outcome
    assert f"chown root:root {root}" in found.mend


def test_no_directory(tmp_path: Path) -> None:
    """A file is none, nor is a link to one."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        path = tmp_path / name
        found = state.check_owner(str(path), path.lstat())
        assert Outcome.FAIL == found.outcome
        assert (f"ls -ld {path}",) == tuple(found.mend)
        assert found.advice


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("ext4", Outcome.PASS),
        ("xfs", Outcome.PASS),
        ("", Outcome.PASS),
        ("tmpfs", Outcome.WARN),
        ("nfs4", Outcome.FAIL),
        ("fuse.sshfs", Outcome.FAIL),
    ],
)
def test_file_systems(kind: str, outcome: Outcome) -> None:
    """Local ones do, network and FUSE ones do not."""
    found = state.check_kind("/r", lambda _: kind)
    assert outcome == found.outcome
    well = outcome is Outcome.PASS
    assert well != ("cvmfs-snapshotter drain --plan --root /r" in found.mend)
    assert well == (not found.advice)


def test_a_file_system_that_cannot_be_told(tmp_path: Path) -> None:
    """It is said so."""
    assert Outcome.WARN == state.check_kind(str(tmp_path / "none")).outcome
    assert Outcome.WARN == state.check_space(str(tmp_path / "none")).outcome


def statvfs(
    free: int = 50 * GIGABYTE, *, inodes: int = 1000, of: int = 1000, flags: int = 0
) -> os.statvfs_result:
    """Give the answer of a file system of 100 GB with blocks of one byte."""
    return os.statvfs_result((1, 1, 100 * GIGABYTE, free, free, of, inodes, inodes, flags, 255))


@pytest.mark.parametrize(
    ("answer", "outcome", "word"),
    [
        (statvfs(), Outcome.PASS, "50.0 GB of 100.0 GB"),
        (statvfs(inodes=0, of=0), Outcome.PASS, "free"),
        (statvfs(4 * GIGABYTE), Outcome.WARN, "4.0 GB"),
        (statvfs(inodes=10), Outcome.WARN, "10 inodes"),
        (statvfs(0), Outcome.FAIL, "not one byte"),
        (statvfs(inodes=0), Outcome.FAIL, "not one inode"),
        (statvfs(flags=os.ST_RDONLY), Outcome.FAIL, "read-only"),
    ],
    ids=["free", "no inodes at all", "little", "few inodes", "full", "inodes out", "read-only"],
)
def test_space(answer: os.statvfs_result, outcome: Outcome, word: str) -> None:
    """Bytes and inodes; some file systems do not count the latter."""
    found = state.check_space("/r", lambda _: answer)
    assert outcome == found.outcome
    assert word in found.what
    assert (outcome is Outcome.PASS) == (not found.mend)


def test_the_page() -> None:
    """The usual path leaves room for any image; a long one does not, and says for how many."""
    assert Outcome.PASS == state.check_page("/var/lib/containerd-cvmfs-grpc").outcome
    long = f"/{'d' * 250}/{'e' * 250}/{'f' * 250}/{'g' * 250}/{'h' * 250}/{'i' * 250}"
    found = state.check_page(long)
    assert Outcome.WARN == found.outcome
    most = state.layers_that_fit(long)
    assert 0 <= most < state.MOST_LAYERS
    assert f"more than {most} layers" in found.what


def test_records(root: Path) -> None:
    """None yet, sound, damaged, or of another schema."""
    assert Outcome.PASS == state.check_records(str(root)).outcome
    path = Path(database_path(str(root)))
    store = open_store(path)
    store.write(lambda t: t.add_tombstones([77]))
    store.close()
    found = state.check_records(str(root))
    assert Outcome.FAIL == found.outcome
    assert "the next identifier would be 1" in found.what
    content = path.read_bytes()
    path.write_bytes(b"damaged" * 1000)
    found = state.check_records(str(root))
    assert Outcome.FAIL == found.outcome
    assert f"cvmfs-snapshotter db check --root {root}" in found.mend
    path.write_bytes(content)
    path.unlink()
    assert Outcome.WARN == state.check_records(str(root)).outcome


def test_what_is_found_in_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of several problems, and how to get a backup into their place."""
    monkeypatch.setattr(databases, "check", lambda _: ["one", "two"])
    found = state.check_records(str(root))
    assert Outcome.FAIL == found.outcome
    assert "damaged: one" in found.what
    assert f"cvmfs-snapshotter db restore --root {root} {root}/backups/FILE" in found.mend
