"""What the directories look like on disk, and how they are deleted and measured."""

import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.directories import DiskDirectories, require_plain_path
from cvmfs_snapshotter.adapters.directories.removal import remove_tree
from cvmfs_snapshotter.domain.errors import ResourceExhaustedError
from cvmfs_snapshotter.domain.layer import CATALOG_MARKERS
from cvmfs_snapshotter.domain.snapshot import Usage


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root directory that has been prepared."""
    DiskDirectories(str(tmp_path / "root")).prepare()
    return tmp_path / "root"


@pytest.fixture
def directories(root: Path) -> DiskDirectories:
    """Give the directories under the root."""
    return DiskDirectories(str(root))


def looks(path: Path) -> tuple[int, int, int]:
    """Tell mode, user and group of a path itself."""
    about = path.lstat()
    return stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Have a umask for the time of the block."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[None]:
    """Have something mounted for the time of the block."""
    subprocess.run(["mount", *options, path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o177])
def test_modes(tmp_path: Path, mask: int) -> None:
    """Modes are containerd's, whatever the umask is."""
    root = tmp_path / "root"
    with umask(mask):
        directories = DiskDirectories(str(root))
        directories.prepare()
        directories.create_active(1, (1000, 2000))
        directories.create_active(2, 1)
        directories.create_empty(3)

    for name in ("", "snapshots", "companions", "l", "snapshots/1", "snapshots/3"):
        assert (0o700, 0, 0) == looks(root / name)
    assert (0o755, 0, 0) == looks(root / "companions/shared")
    assert (0o755, 1000, 2000) == looks(root / "snapshots/1/fs")
    assert (0o711, 0, 0) == looks(root / "snapshots/1/work")
    assert (0o755, 1000, 2000) == looks(root / "snapshots/2/fs")
    assert (0o755, 0, 0) == looks(root / "snapshots/3/fs")
    assert not (root / "snapshots/3/work").exists()


def test_links(root: Path, directories: DiskDirectories) -> None:
    """A link leads to a local snapshot by a relative path, to a layer by its absolute one."""
    directories.create_active(1, (0, 0))
    directories.link_files(1)
    directories.create_active(2, (0, 0))
    directories.link_layer(3, "/cvmfs/x/.layers/layerfs")

    assert "../snapshots/1/fs" == str((root / "l/1").readlink())
    assert (root / "snapshots/1/fs").samefile(root / "l/1")
    assert not (root / "l/2").is_symlink()
    assert "/cvmfs/x/.layers/layerfs" == str((root / "l/3").readlink())
    assert "../companions/shared" == str((root / "l/s").readlink())


def test_relink_is_atomic(root: Path, directories: DiskDirectories) -> None:
    """While a link is moved, it always leads to the one place or the other."""
    directories.link_layer(1, "/one")
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(str((root / "l/1").readlink()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(200):
        directories.link_layer(1, "/two")
        directories.link_layer(1, "/one")
    done.set()
    watcher.join()

    assert {"/one", "/two"} >= seen
    assert {"1", "s"} == {path.name for path in (root / "l").iterdir()}


def test_right_link_is_left_alone(root: Path, directories: DiskDirectories) -> None:
    """A link that is right already is not made again."""
    directories.link_layer(1, "/one")
    before = (root / "l/1").lstat()
    directories.link_layer(1, "/one")

    assert before.st_ino == (root / "l/1").lstat().st_ino


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_is_in_the_place_of_a_link(
    root: Path, directories: DiskDirectories, kind: str
) -> None:
    """It leads nowhere, so that it is told as a link that leads elsewhere would be."""
    place = root / "l/1"
    place.touch() if kind == "file" else place.mkdir()

    assert directories.is_astray(1)
    assert directories.is_astray(1, "/one")
    assert not directories.is_astray(2, "/one")


def test_files_are_looked_for_in_few_calls(
    directories: DiskDirectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is done for every layer of every container: one call each, and one for all."""
    for identifier in (1, 2, 3):
        directories.create_active(identifier, (0, 0))
    asked: list[str] = []
    lstat = os.lstat

    def note(path: str | Path, **more: int) -> os.stat_result:
        asked.append(str(path))
        return lstat(path, **more)

    monkeypatch.setattr(os, "lstat", note)
    monkeypatch.setattr(Path, "lstat", note)

    assert [] == directories.without_files((1, 2, 3))
    assert 4 == len(asked)


def test_shared_companion(root: Path) -> None:
    """The shared companion holds a whiteout for each catalog marker, and nothing else."""
    found = {os.fsencode(path.name): path.lstat() for path in (root / "l/s").iterdir()}

    assert set(CATALOG_MARKERS) == set(found)
    for about in found.values():
        assert stat.S_ISCHR(about.st_mode)
        assert os.makedev(0, 0) == about.st_rdev


def test_prepare_again(root: Path, directories: DiskDirectories) -> None:
    """What is sound is left as it is at the next start."""
    directories.create_active(1, (0, 0))
    (root / "snapshots/1/fs/file").touch()
    before = (root / "companions/shared").stat().st_ino
    directories.prepare()

    assert (root / "snapshots/1/fs/file").exists()
    assert before == (root / "companions/shared").stat().st_ino


def damage_marker(shared: Path) -> None:
    """Delete a marker."""
    (shared / ".cvmfscatalog").unlink()


def damage_kind(shared: Path) -> None:
    """Turn a marker into a file."""
    (shared / ".cvmfscatalog").unlink()
    (shared / ".cvmfscatalog").touch()


def damage_device(shared: Path) -> None:
    """Turn a marker into another device."""
    (shared / ".cvmfscatalog").unlink()
    os.mknod(shared / ".cvmfscatalog", stat.S_IFCHR, os.makedev(1, 3))


def damage_content(shared: Path) -> None:
    """Put something else into it."""
    (shared / "etc").mkdir()
    (shared / "etc/passwd").touch()


def damage_mode(shared: Path) -> None:
    """Give it another mode."""
    shared.chmod(0o700)


def damage_owner(shared: Path) -> None:
    """Give it another owner."""
    os.chown(shared, 1, 1)


def damage_directory(shared: Path) -> None:
    """Put a link in its place."""
    shared.rename(shared.with_name("away"))
    shared.symlink_to("away")


@pytest.mark.parametrize(
    "damage",
    [
        damage_marker,
        damage_kind,
        damage_device,
        damage_content,
        damage_mode,
        damage_owner,
        damage_directory,
    ],
)
def test_prepare_mends(root: Path, directories: DiskDirectories, damage: object) -> None:
    """A shared companion that is damaged is made anew, as a whole."""
    assert callable(damage)
    damage(root / "companions/shared")
    directories.prepare()

    test_shared_companion(root)
    assert (0o755, 0, 0) == looks(root / "companions/shared")
    assert {"shared", "away"} >= {path.name for path in (root / "companions").iterdir()}


def test_prepare_deletes_what_a_crash_left(root: Path, directories: DiskDirectories) -> None:
    """What was being made when the daemon was killed is deleted; foreign names are left alone."""
    (root / "l/.new-1").symlink_to("/x")
    (root / "companions/.new-1").mkdir()
    (root / "companions/.old-1").mkdir()
    (root / "companions/.old-1/file").touch()
    (root / "l/mine").touch()
    directories.prepare()

    assert {"s", "mine"} == {path.name for path in (root / "l").iterdir()}
    assert {"shared"} == {path.name for path in (root / "companions").iterdir()}


def test_present_ignores_foreign_names(root: Path, directories: DiskDirectories) -> None:
    """Only what is named as an identifier counts."""
    for name in ("new-1", "01", "0", "-1", "1x", "٣", "1.5"):
        (root / "snapshots" / name).mkdir()
        (root / "l" / name).symlink_to("/")
    directories.create_active(12, (0, 0))

    assert {12} == set(directories.present())


def test_remove_work_directory(root: Path, directories: DiskDirectories) -> None:
    """The work directory of overlayfs, without any permission and not empty, goes too."""
    directories.create_active(1, (0, 0))
    (root / "snapshots/1/work/work/#1").mkdir(parents=True)
    (root / "snapshots/1/work/work").chmod(0)
    directories.remove(1)

    assert not (root / "snapshots/1").exists()


def test_remove_follows_no_link(root: Path, directories: DiskDirectories, tmp_path: Path) -> None:
    """Links are deleted, what they lead to is not, the snapshot's own link included."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    directories.create_active(1, (0, 0))
    (root / "snapshots/1/fs/link").symlink_to(tmp_path / "precious")
    (root / "snapshots/2").symlink_to(tmp_path / "precious")
    directories.link_layer(3, str(tmp_path / "precious"))
    for identifier in (1, 2, 3):
        directories.remove(identifier)

    assert set() == set(directories.present())
    assert (tmp_path / "precious/file").exists()


def test_remove_a_file(root: Path, directories: DiskDirectories) -> None:
    """A file in the place of a directory is deleted too."""
    (root / "snapshots/1").touch()
    directories.remove(1)

    assert set() == set(directories.present())


@pytest.mark.parametrize("place", ["", "fs", "fs/deep/mnt"])
def test_remove_stops_at_mounts(
    root: Path, directories: DiskDirectories, tmp_path: Path, place: str
) -> None:
    """Nothing in another mount is deleted, not even of the same file system, and that is said."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    directories.create_active(1, (0, 0))
    (root / "snapshots/1" / place).mkdir(parents=True, exist_ok=True)
    with (
        mounted(root / "snapshots/1" / place, "--bind", str(tmp_path / "precious")),
        pytest.raises(ResourceExhaustedError, match="something is mounted there"),
    ):
        directories.remove(1)

    assert (tmp_path / "precious/file").exists()
    directories.remove(1)
    assert set() == set(directories.present())


def test_remove_stops_at_a_mounted_file(
    root: Path, directories: DiskDirectories, tmp_path: Path
) -> None:
    """A file that something is mounted on stays, and the snapshot with it."""
    (tmp_path / "precious").touch()
    directories.create_active(1, (0, 0))
    (root / "snapshots/1/fs/file").touch()
    with (
        mounted(root / "snapshots/1/fs/file", "--bind", str(tmp_path / "precious")),
        pytest.raises(ResourceExhaustedError, match="busy"),
    ):
        directories.remove(1)

    assert {1} == set(directories.present())


def nest(top: Path, depth: int) -> None:
    """Make directories within one another, deeper than a path can name."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)


def test_depth(root: Path, directories: DiskDirectories) -> None:
    """Directories nested deeper than stack, path and descriptors reach are counted and deleted."""
    directories.create_active(1, (0, 0))
    nest(root / "snapshots/1/fs", 5000)

    assert 5001 == directories.usage(1).inodes
    directories.remove(1)
    assert set() == set(directories.present())


def test_remove_a_big_tree_twice_at_once(root: Path, directories: DiskDirectories) -> None:
    """Two that delete one tree at the same time get in nobody's way."""
    directories.create_active(1, (0, 0))
    for one in range(30):
        for two in range(10):
            (root / f"snapshots/1/fs/{one}/{two}").mkdir(parents=True)
            (root / f"snapshots/1/fs/{one}/{two}/file").touch()
    errors: list[BaseException] = []

    def remove() -> None:
        try:
            directories.remove(1)
        except BaseException as error:  # noqa: BLE001 - any is a failure of the test
            errors.append(error)

    threads = [threading.Thread(target=remove) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == errors
    assert set() == set(directories.present())


def test_remove_in_a_missing_directory(tmp_path: Path) -> None:
    """A directory that is not there is an error: the root was not prepared."""
    with pytest.raises(FileNotFoundError):
        remove_tree(tmp_path / "none", "1")


def fill(files: Path) -> None:
    """Make a tree with everything that is counted in a way of its own."""
    (files / "dir/sub").mkdir(parents=True)
    (files / "dir/file").write_bytes(b"x" * 100_000)
    (files / "hard").hardlink_to(files / "dir/file")
    (files / "link").symlink_to("/usr")
    with (files / "sparse").open("wb") as sparse:
        sparse.truncate(50_000_000)
    os.mkfifo(files / "fifo")
    os.mknod(files / "whiteout", stat.S_IFCHR, os.makedev(0, 0))


def du(path: Path) -> Usage:
    """Tell what the program du counts."""
    counts = [
        int(
            subprocess.run(
                ["du", "-sx", *how, path], check=True, capture_output=True, text=True
            ).stdout.split()[0]
        )
        for how in (["--block-size=1"], ["--inodes"])
    ]
    return Usage(*counts)


def test_usage(root: Path, directories: DiskDirectories) -> None:
    """Usage is what du counts: blocks, and inodes with hard links once."""
    directories.create_active(1, (0, 0))
    fill(root / "snapshots/1/fs")
    (root / "snapshots/1/work/work").mkdir()

    assert du(root / "snapshots/1/fs") == directories.usage(1)
    assert 8 == directories.usage(1).inodes


def test_usage_leaves_out_mounts(root: Path, directories: DiskDirectories, tmp_path: Path) -> None:
    """What is mounted in a snapshot is not its own, be it of the same file system."""
    (tmp_path / "other").mkdir()
    fill(tmp_path / "other")
    directories.create_active(1, (0, 0))
    (root / "snapshots/1/fs/mnt").mkdir()
    with mounted(root / "snapshots/1/fs/mnt", "--bind", str(tmp_path / "other")):
        assert 1 == directories.usage(1).inodes


def test_usage_of_a_living_tree(root: Path, directories: DiskDirectories) -> None:
    """Files and directories may come, go and move while they are counted."""
    directories.create_active(1, (0, 0))
    files = root / "snapshots/1/fs"
    for number in range(50):
        (files / f"still/{number}").mkdir(parents=True)
    done = threading.Event()

    def stir() -> None:
        while not done.is_set():
            (files / "a/b/c/d").mkdir(parents=True)
            (files / "a/b/file").touch()
            (files / "a/b").rename(files / "moved")
            (files / "moved/file").unlink()
            for name in ("moved/c/d", "moved/c", "moved", "a"):
                (files / name).rmdir()

    stirrer = threading.Thread(target=stir)
    stirrer.start()
    counts = {directories.usage(1).inodes for _ in range(200)}
    done.set()
    stirrer.join()

    assert min(counts) >= 52
    assert max(counts) <= 60


def test_full_disk(tmp_path: Path) -> None:
    """On a full disk nothing is left half made, and the message says what and why."""
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=1m,nr_inodes=40", "small"):
        root = tmp_path / "root"
        directories = DiskDirectories(str(root))
        directories.prepare()
        directories.create_active(1, (0, 0))
        for free in range(3):
            fill_inodes(tmp_path, keep=free)
            with pytest.raises(ResourceExhaustedError, match="No space left on device") as error:
                directories.create_active(2, (0, 0))

            assert str(root / "snapshots/2") in str(error.value)
            assert {1} == set(directories.present())
            assert free == os.statvfs(tmp_path).f_ffree
        fill_inodes(tmp_path, keep=0)
        with pytest.raises(ResourceExhaustedError, match="No space left on device"):
            directories.link_files(1)
        directories.remove(1)
        directories.create_active(3, (0, 0))


def fill_inodes(file_system: Path, keep: int) -> None:
    """Use inodes up until so many are left."""
    for file in file_system.glob("fill*"):
        file.unlink()
    for number in range(os.statvfs(file_system).f_ffree - keep):
        (file_system / f"fill{number}").touch()


def test_read_only_disk(tmp_path: Path) -> None:
    """On a disk that became read-only, errors are the domain's."""
    with mounted(tmp_path, "-t", "tmpfs", "small"):
        directories = DiskDirectories(str(tmp_path / "root"))
        directories.prepare()
        directories.create_active(1, (0, 0))
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        with pytest.raises(ResourceExhaustedError, match="Read-only"):
            directories.create_active(2, (0, 0))
        with pytest.raises(ResourceExhaustedError, match="Read-only"):
            directories.remove(1)
        with pytest.raises(ResourceExhaustedError, match="Read-only"):
            directories.link_layer(3, "/x")
        with pytest.raises(ResourceExhaustedError, match="Read-only"):
            DiskDirectories(str(tmp_path / "other")).prepare()


@pytest.mark.parametrize("path", ["/a:b", "/a,b", "/a\\b", "/a\nb", "/a\0", "/\udcff", "a/b", ""])
def test_paths_with_a_meaning(path: str) -> None:
    """A root whose path means something else in mount options is refused."""
    with pytest.raises(ValueError, match=r"/|absolute"):
        require_plain_path(path)


def test_plain_paths() -> None:
    """Every other absolute path is fine."""
    for path in ("/", "/var/lib/containerd-cvmfs-grpc", "/a b/ü"):
        require_plain_path(path)
