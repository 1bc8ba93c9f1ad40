"""What the probe worker says about layers, source by source and fault by fault."""

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cvmfs_snapshotter.adapters.directories.removal import remove_tree
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.worker import identity, misses, pulse, scanning
from cvmfs_snapshotter.adapters.layers.worker.__main__ import answer
from cvmfs_snapshotter.domain.layer import CATALOG_MARKERS, WHITEOUT_PREFIX, Reason

HEX = "ab" + "0" * 62
DIFF_ID = "d" * 64
REPOSITORY = "unpacked.example.org"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Give the directory of a published layer without description."""
    directory = tmp_path / ".layers" / "ab" / HEX
    (directory / "layerfs").mkdir(parents=True)
    (directory / "layerfs/.cvmfscatalog").touch()
    return directory


def ask(do: str, root: Path, repository: str | None = None, layer: str = HEX) -> dict[str, object]:
    """Put a request about one layer."""
    source = {"root": str(root), "repository": repository}
    return answer({"do": do, "source": source, "layer": layer}, lambda _: None)


def look(root: Path, repository: str | None = None) -> dict[str, object]:
    """Look the layer up; what its stamp and size say is another test's matter."""
    found = ask("look", root, repository)
    found.pop("stamp", None)
    found.pop("size", None)
    return found


def test_the_stamp_changes_with_owners_and_times(tmp_path: Path, directory: Path) -> None:
    """A scan has the stamp of the look-up before it, until the layer is published anew."""
    first = ask("look", tmp_path)["stamp"]
    assert first == ask("look", tmp_path)["stamp"]
    assert first == ask("scan", tmp_path)["stamp"]
    os.chown(directory / "layerfs", 5, 5)
    second = ask("look", tmp_path)["stamp"]
    os.utime(directory / "layerfs/.cvmfscatalog", (1, 1))
    assert 3 == len({str(first), str(second), str(ask("look", tmp_path)["stamp"])})


def test_hit(tmp_path: Path, directory: Path) -> None:
    """A published layer on a healthy source is found."""
    assert {"diff_id": None, "proven": True} == look(tmp_path)


def test_linked_root(tmp_path: Path, directory: Path) -> None:
    """The root of a source may be a symbolic link."""
    root = tmp_path / "link"
    root.symlink_to(tmp_path)

    assert {"diff_id": None, "proven": True} == look(root)


@pytest.mark.parametrize(
    ("missing", "detail"),
    [
        (".layers", "no layers here"),
        (".layers/ab", "not published"),
        (f".layers/ab/{HEX}", "not published"),
        (f".layers/ab/{HEX}/layerfs", "without files"),
    ],
)
def test_absent(tmp_path: Path, directory: Path, missing: str, detail: str) -> None:
    """Whatever is missing below a healthy root makes the layer absent, and it is said what."""
    (tmp_path / missing).rename(tmp_path / "away")
    found = look(tmp_path)

    assert "absent" == found["reason"]
    assert detail in str(found["detail"])
    assert missing in str(found["detail"])


@pytest.mark.parametrize(
    "name", [".layers", ".layers/ab", f".layers/ab/{HEX}", f".layers/ab/{HEX}/layerfs"]
)
def test_link_on_the_way(tmp_path: Path, directory: Path, name: str) -> None:
    """No symbolic link below the root is followed."""
    away = (tmp_path / name).rename(tmp_path / "away")
    (tmp_path / name).symlink_to(away)
    found = look(tmp_path)

    assert "absent" == found["reason"]
    assert "is a symbolic link" in str(found["detail"])


def test_file_on_the_way(tmp_path: Path, directory: Path) -> None:
    """A file where a directory should be is as good as nothing."""
    (directory / "layerfs").rename(tmp_path / "away")
    (directory / "layerfs").touch()

    assert "absent" == look(tmp_path)["reason"]


@pytest.mark.parametrize("repository", [None, REPOSITORY])
def test_no_root(tmp_path: Path, repository: str | None) -> None:
    """A root that does not exist, or is a file, means that nothing is mounted."""
    (tmp_path / "file").touch()

    assert "not-mounted" == look(tmp_path / "none", repository)["reason"]
    assert "not-mounted" == look(tmp_path / "file", repository)["reason"]


def test_nothing_mounted(tmp_path: Path) -> None:
    """An empty mount point of a repository is not a healthy source without the layer."""
    found = look(tmp_path, REPOSITORY)

    assert "not-mounted" == found["reason"]
    assert "not on CernVM-FS" in str(found["detail"])


def test_repository(tmp_path: Path, directory: Path) -> None:
    """A repository that says its name, at its root and at the layer, is the right one."""
    for path in (tmp_path, directory / "layerfs"):
        os.setxattr(path, "user.fqrn", REPOSITORY.encode())

    assert {"diff_id": None, "proven": True} == look(tmp_path, REPOSITORY)
    assert {"proven": True} == check(tmp_path, HEX, repository=REPOSITORY)


@pytest.mark.parametrize("at", ["", f".layers/ab/{HEX}/layerfs"])
def test_wrong_repository(tmp_path: Path, directory: Path, at: str) -> None:
    """Another repository, even one that is mounted at the layer itself, is refused."""
    for path in (tmp_path, directory / "layerfs"):
        os.setxattr(path, "user.fqrn", REPOSITORY.encode())
    os.setxattr(tmp_path / at, "user.fqrn", b"other.example.org")
    found = look(tmp_path, REPOSITORY)

    assert "wrong-repository" == found["reason"]
    assert "'other.example.org'" in str(found["detail"])


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENODATA, errno.EOPNOTSUPP])
def test_attribute_denied(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where the name may not be read, a mount of a CVMFS client will do, and that is said."""
    monkeypatch.setattr(identity, "mount_of", lambda _: ("fuse", "cvmfs2"))
    monkeypatch.setattr(os, "getxattr", failing(number))

    assert {"diff_id": None, "proven": False} == look(tmp_path, REPOSITORY)


def test_attribute_denied_by_a_dead_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the name may not be read, the state of the file system shows whether it answers."""
    monkeypatch.setattr(identity, "mount_of", lambda _: ("fuse", "cvmfs2"))
    monkeypatch.setattr(os, "getxattr", failing(errno.ENODATA))
    monkeypatch.setattr(os, "fstatvfs", failing(errno.ENOTCONN))

    assert "disconnected" == look(tmp_path, REPOSITORY)["reason"]


@pytest.mark.parametrize(
    ("kind", "source", "expected"),
    [
        ("fuse", "cvmfs2", True),
        ("fuse.cvmfs2", "cvmfs2", True),
        ("fuse", "sshfs", False),
        ("ext4", "cvmfs2", False),
        ("fuseblk", "cvmfs2", False),
        ("autofs", "/etc/auto.cvmfs", False),
    ],
)
def test_client(kind: str, source: str, expected: bool) -> None:
    """A client's mount is one of FUSE whose source is called cvmfs2."""
    assert expected == identity.is_client(kind, source)


def test_mount_by_number() -> None:
    """A mount is found by its own number, whatever optional fields it has."""
    lines = (
        "22 1 0:20 / /proc rw shared:5 - proc proc rw\n"
        r"122 22 0:45 / /cvmfs/a\040b ro,nosuid shared:2 master:3 - fuse cvm\040fs2 ro,user_id=0"
        "\n"
    )

    assert ("fuse", "cvm fs2") == identity.mount_in(lines, "122")
    assert ("proc", "proc") == identity.mount_in(lines, "22")
    assert identity.mount_in(lines, "2") is None


def test_real_mount_is_not_a_client(tmp_path: Path) -> None:
    """A mount that only borrows the client's name is not taken for it."""
    subprocess.run(["mount", "-t", "tmpfs", "cvmfs2", tmp_path], check=True)
    try:
        found = look(tmp_path, REPOSITORY)
    finally:
        subprocess.run(["umount", tmp_path], check=True)

    assert "not-mounted" == found["reason"]
    assert "tmpfs (cvmfs2)" in str(found["detail"])


def failing(number: int, name: str | None = None) -> Callable[..., Any]:
    """Make a function that fails with an error, always or where it is asked for one name."""
    original = os.open

    def call(path: Any, *args: Any, **more: Any) -> Any:
        if name is None or path == name:
            raise OSError(number, os.strerror(number))
        return original(path, *args, **more)

    return call


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EIO, "io-error"),
        (errno.ENOTCONN, "disconnected"),
        (errno.ECONNABORTED, "disconnected"),
        (errno.ESTALE, "stale"),
        (errno.ELOOP, "symlink-loop"),
        (errno.EACCES, "denied"),
        (errno.EPERM, "denied"),
        (errno.ENAMETOOLONG, "failed"),
        (errno.EMFILE, "failed"),
    ],
)
@pytest.mark.parametrize("name", ["root", ".layers", "ab", HEX, "layerfs"])
def test_errors_of_open(  # noqa: PLR0917 - fixtures and a table
    tmp_path: Path,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    reason: str,
    name: str,
) -> None:
    """Each error has its class, wherever on the way it occurs, and says its path."""
    monkeypatch.setattr(os, "open", failing(number, str(tmp_path) if name == "root" else name))
    found = look(tmp_path)

    assert reason == found["reason"]
    assert os.strerror(number) in str(found["detail"])
    assert str(tmp_path) in str(found["detail"])


@pytest.mark.parametrize("call", ["scandir", "fstatvfs"])
def test_dead_client_with_warm_caches(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A directory that opens is no hit if it cannot be listed or its file system does not answer.

    Both are asked of the client, while the kernel may open from its caches.
    """
    monkeypatch.setattr(os, call, failing(errno.ENOTCONN))

    assert "disconnected" == look(tmp_path)["reason"]


def describe(directory: Path, content: object) -> None:
    """Write the description of a layer, as JSON or as bytes."""
    (directory / ".metadata").mkdir()
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (directory / ".metadata/layers.json").write_bytes(data)


ENTRY = {
    "id": DIFF_ID,
    "created": "2024-01-01T00:00:00Z",
    "compressed-diff-digest": f"sha256:{HEX}",
    "diff-digest": f"sha256:{DIFF_ID}",
    "diff-size": 1,
}
OTHER = {**ENTRY, "compressed-diff-digest": "sha256:" + "e" * 64, "id": "e" * 64}


@pytest.mark.parametrize(
    "entries",
    [
        [ENTRY],
        [OTHER, ENTRY],
        [ENTRY, ENTRY],
        [{key: value for key, value in ENTRY.items() if key != "id"}],
        [{key: value for key, value in ENTRY.items() if key != "diff-digest"}],
    ],
)
def test_diff_id(tmp_path: Path, directory: Path, entries: list[object]) -> None:
    """The diff ID is that of the entry for this very layer."""
    describe(directory, entries)

    assert {"diff_id": DIFF_ID, "proven": True} == look(tmp_path)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([7], 7),
        ([0], 0),
        ([7, 7], 7),
        ([7, 8], None),
        ([-1], None),
        ([True], None),
        (["7"], None),
        ([1.5], None),
        ([1 << 53], None),
        ([None], None),
    ],
)
def test_size(tmp_path: Path, directory: Path, sizes: list[object], expected: int | None) -> None:
    """The size is what is recorded; one that makes no sense is as good as none, and no miss."""
    describe(directory, [{**ENTRY, "diff-size": size} for size in sizes])

    found = ask("look", tmp_path)
    assert (DIFF_ID, expected) == (found["diff_id"], found["size"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"not json",
        b"[" * 100_000,
        b"{}",
        b"[]",
        b"null",
        [1, None, "x"],
        [OTHER],
        [{**ENTRY, "id": "e" * 64}],
        [{**ENTRY, "diff-digest": 7}],
        [{**ENTRY, "diff-digest": "sha512:" + DIFF_ID}],
        [{**ENTRY, "diff-digest": "sha256:../x"}],
        [{"compressed-diff-digest": f"sha256:{HEX}"}],
        [ENTRY, {**ENTRY, "id": "e" * 64, "diff-digest": "sha256:" + "e" * 64}],
        b" " * ((1 << 20) + 1),
    ],
)
def test_bad_description(tmp_path: Path, directory: Path, content: object) -> None:
    """A description that does not give one diff ID for the layer makes it a miss."""
    describe(directory, content)

    assert "bad-metadata" == look(tmp_path)["reason"]


@pytest.mark.parametrize("kind", ["fifo", "directory", "link", "linked directory", "file"])
def test_strange_description(tmp_path: Path, directory: Path, kind: str) -> None:
    """Only a regular file is read, through no symbolic link, and nothing is waited for."""
    metadata = directory / ".metadata"
    if kind == "linked directory":
        metadata.symlink_to(tmp_path)
    elif kind == "file":
        metadata.touch()
    else:
        metadata.mkdir()
    if kind == "fifo":
        os.mkfifo(metadata / "layers.json")
    elif kind == "directory":
        (metadata / "layers.json").mkdir()
    elif kind == "link":
        (tmp_path / "real").write_text(json.dumps([ENTRY]))
        (metadata / "layers.json").symlink_to(tmp_path / "real")

    assert "bad-metadata" == look(tmp_path)["reason"]


@pytest.mark.parametrize("name", [".metadata", "layers.json"])
def test_unreadable_description(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A description that the source fails to give counts against the source."""
    describe(directory, [ENTRY])
    monkeypatch.setattr(os, "open", failing(errno.EIO, name))

    assert "io-error" == look(tmp_path)["reason"]


def test_empty_metadata(tmp_path: Path, directory: Path) -> None:
    """A directory for descriptions without one is as normal as none."""
    (directory / ".metadata").mkdir()

    assert {"diff_id": None, "proven": True} == look(tmp_path)


def check(root: Path, *layers: str, repository: str | None = None) -> dict[str, object]:
    """Check layers of one source."""
    source = {"root": str(root), "repository": repository}
    request = {"do": "check", "sources": [source], "layers": [[0, layer] for layer in layers]}
    return answer(request, lambda _: None)


def test_check_names_the_first(tmp_path: Path, directory: Path) -> None:
    """Of several layers the first that is out of reach is named."""
    found = check(tmp_path, HEX, "e" * 64, "f" * 64)

    assert (1, "absent") == (found["at"], found["reason"])
    assert ".layers/ee" in str(found["detail"])


def test_check_says_where_it_is(tmp_path: Path, directory: Path) -> None:
    """Before each layer its place is said, so that a hang can be told to be this layer's."""
    signs: list[dict[str, object]] = []
    source = {"root": str(tmp_path), "repository": None}
    answer({"do": "check", "sources": [source], "layers": [[0, HEX], [0, HEX]]}, signs.append)

    assert [{"at": 0}, {"at": 1}] == signs


def look_above(
    root: Path, layer: str, below: list[str], repository: str | None = None
) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Look a layer up after those below it; gives the answer and the signs of progress."""
    signs: list[dict[str, object]] = []
    source = {"root": str(root), "repository": repository}
    request = {"do": "look", "source": source, "layer": layer, "below": below}
    return answer(request, signs.append), signs


@pytest.mark.parametrize("error", [ValueError, MemoryError])
def test_what_nobody_foresaw_has_a_place(
    tmp_path: Path,
    directory: Path,
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A defect is blamed on the layer that was being looked at, not on the lowest one."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(f"{answer.__module__}._looked", fail)
    found, _ = look_above(tmp_path, HEX, [HEX])

    assert (1, "failed") == (found["at"], found["reason"])


def test_look_above(tmp_path: Path, directory: Path) -> None:
    """With what lies below it a layer is found as without, and each place is said."""
    found, signs = look_above(tmp_path, HEX, [HEX, HEX])

    assert ask("look", tmp_path) == found
    assert [{"at": 0}, {"at": 1}, {"at": 2}] == signs


@pytest.mark.parametrize(
    ("layer", "below", "at"),
    [
        (HEX, ["e" * 64], 0),
        (HEX, [HEX, "e" * 64, "f" * 64], 1),
        ("e" * 64, [HEX, HEX], 2),
        ("e" * 64, ["f" * 64], 0),
    ],
)
def test_look_above_names_the_first(
    tmp_path: Path, directory: Path, layer: str, below: list[str], at: int
) -> None:
    """The first that is out of reach is named, the layer itself being the last."""
    found, _ = look_above(tmp_path, layer, below)

    assert (at, "absent") == (found["at"], found["reason"])


def test_look_above_without_source(tmp_path: Path) -> None:
    """A source that is not there is trouble for what lies below."""
    found, _ = look_above(tmp_path / "gone", HEX, [HEX])

    assert (0, "not-mounted") == (found["at"], found["reason"])


def test_scan(tmp_path: Path, directory: Path) -> None:
    """Every name is counted once; catalog markers in the root are expected, deeper ones told."""
    files = directory / "layerfs"
    (files / "a/b").mkdir(parents=True)
    (files / "a/.cvmfscatalog").touch()
    (files / "a/b/.cvmfsautocatalog").touch()
    (files / "a/b/.wh..wh..opq").touch()
    (files / "a/x.wh.y").touch()
    (files / ".wh.gone").touch()
    (files / "outside").symlink_to("/")
    (files / "up").symlink_to("..")
    found = ask("scan", tmp_path)

    assert 10 == found["entries"]
    assert {".wh.gone", "a/.cvmfscatalog", "a/b/.cvmfsautocatalog", "a/b/.wh..wh..opq"} == set(
        texts(found["markers"])
    )
    assert ["", "a", "a/b"] == sorted(texts(paths_of(found["directories"])))
    assert "" == found["unusable"]


def texts(value: object) -> list[str]:
    """Make sure that a value is a list of texts."""
    assert isinstance(value, list)
    assert all(isinstance(item, str) for item in value)
    return value


def paths_of(value: object) -> list[object]:
    """Give the paths of directories in an answer."""
    assert isinstance(value, list)
    return [directory[0] for directory in value]


def test_scan_describes_directories(tmp_path: Path, directory: Path) -> None:
    """Mode, owner and time of a directory with a marker, and of those above it, are told."""
    inside = directory / "layerfs/a"
    inside.mkdir()
    (inside / ".wh.x").touch()
    inside.chmod(0o1770)
    os.chown(inside, 7, 8)
    os.utime(inside, ns=(5, 123456789))
    found = ask("scan", tmp_path)

    assert ["a", 0o1770, 7, 8, 123456789] in as_list(found["directories"])
    assert [[0, 0], [7, 8]] == [list(as_list(owner)) for owner in as_list(found["owners"])]


def as_list(value: object) -> list[object]:
    """Make sure that a value is a list or a tuple."""
    assert isinstance(value, list | tuple)
    return list(value)


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh..."])
def test_scan_finds_names_that_can_be_no_whiteouts(
    tmp_path: Path, directory: Path, name: str
) -> None:
    """They would delete a directory itself or its parent."""
    (directory / "layerfs/a").mkdir()
    (directory / "layerfs/a" / name).touch()
    found = ask("scan", tmp_path)

    assert f"a/{name}" == found["unusable"]
    assert [] == found["markers"]


def test_scan_finds_directories_that_can_be_no_whiteouts(tmp_path: Path, directory: Path) -> None:
    """A marker is a file; what is in such a directory is read all the same."""
    (directory / "layerfs/.wh.d").mkdir()
    (directory / "layerfs/.wh.d/.wh.x").touch()
    found = ask("scan", tmp_path)

    assert ".wh.d" == found["unusable"]
    assert [".wh.d/.wh.x"] == found["markers"]


def published(directory: Path) -> Path:
    """Have a layer with a catalog marker, as every published one has."""
    files = directory / "layerfs"
    (files / ".cvmfscatalog").touch()
    os.utime(files / ".cvmfscatalog", (10_000, 10_000))
    return files


@pytest.mark.parametrize(
    ("mode", "owner", "time", "made"),
    [
        (0o755, 0, 10_000, True),
        (0o755, 0, 9_500, True),
        (0o755, 0, 10_050, True),
        (0o755, 0, 9_000, False),
        (0o755, 0, 11_000, False),
        (0o700, 0, 10_000, False),
        (0o755, 5, 10_000, False),
    ],
)
def test_scan_tells_directories_that_were_made_up(
    tmp_path: Path, directory: Path, mode: int, owner: int, time: int, *, made: bool
) -> None:
    """They have the mode, owner and time that an ingest gives."""
    files = published(directory)
    (files / "d/e").mkdir(parents=True)
    (files / "d/e").chmod(mode)
    os.chown(files / "d/e", owner, 0)
    os.utime(files / "d/e", (time, time))
    (files / "d").chmod(0o711)

    assert (["d/e"] if made else []) == ask("scan", tmp_path)["implied"]


def test_nothing_is_made_up_without_a_marker(tmp_path: Path, directory: Path) -> None:
    """A layer that no CVMFS server has ingested has its directories from somewhere else."""
    (directory / "layerfs/.cvmfscatalog").unlink(missing_ok=True)
    (directory / "layerfs/d").mkdir()

    assert [] == ask("scan", tmp_path)["implied"]


def below(root: Path, lowers: list[object], *paths: str) -> dict[str, list[int]]:
    """Ask what directories look like in a chain."""
    source = {"root": str(root), "repository": None}
    request = {"do": "below", "sources": [source], "lowers": lowers, "paths": list(paths)}
    found = answer(request, lambda _: None)
    return {str(d[0]): d[1:] for d in found["directories"]}  # type: ignore[attr-defined]


def test_the_topmost_lower_with_a_directory_of_its_own_decides(
    tmp_path: Path, directory: Path
) -> None:
    """A published layer decides with what has a tar entry, an unpacked one with everything."""
    files = published(directory)
    (files / "tmp").mkdir(mode=0o755)
    os.utime(files / "tmp", (10_000, 10_000))
    (files / "own").mkdir()
    (files / "own").chmod(0o700)
    os.utime(files / "own", (5, 5))
    local = tmp_path / "local"
    for name, mode in (("tmp", 0o1777), ("own", 0o755), ("low", 0o711)):
        (local / name).mkdir(parents=True)
        (local / name).chmod(mode)
    found = below(tmp_path, [[0, HEX], str(local)], "tmp", "own", "low", "none", "low/none")

    assert {"tmp": 0o1777, "own": 0o700, "low": 0o711} == {k: v[0] for k, v in found.items()}


def test_what_a_lower_deletes_is_not_looked_for_further_down(
    tmp_path: Path, directory: Path
) -> None:
    """By whiteouts and opaque marks in a published layer, except for one in the root."""
    files = published(directory)
    (files / ".wh.gone").touch()
    (files / ".wh..wh..opq").touch()
    (files / "opaque").mkdir()
    (files / "opaque").chmod(0o700)
    (files / "opaque/.wh..wh..opq").touch()
    (files / "file").touch()
    local = tmp_path / "local"
    for name in ("gone/a", "opaque/b", "file/c", "kept"):
        (local / name).mkdir(parents=True)
    found = below(
        tmp_path,
        [[0, HEX], str(local)],
        *("gone", "gone/a", "opaque", "opaque/b", "file", "file/c", "kept", "n" * 252),
    )

    assert {"opaque", "kept"} == set(found)


def test_deletions_of_an_unpacked_lower_count(tmp_path: Path, directory: Path) -> None:
    """Devices and opaque directories, as overlayfs has them."""
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    upper.mkdir()
    os.mknod(upper / "gone", stat.S_IFCHR, os.makedev(0, 0))
    (upper / "opaque").mkdir()
    os.setxattr(upper / "opaque", "trusted.overlay.opaque", b"y")
    for name in ("gone", "opaque/b", "kept"):
        (lower / name).mkdir(parents=True)
    found = below(tmp_path, [str(upper), str(lower)], "gone", "opaque", "opaque/b", "kept")

    assert {"opaque", "kept"} == set(found)


def test_a_lower_that_is_gone_gives_no_answer(tmp_path: Path, directory: Path) -> None:
    """It is a miss, not an empty chain."""
    request = {"do": "below", "sources": [], "lowers": [str(tmp_path / "none")], "paths": ["a"]}

    assert "reason" in answer(request, lambda _: None)


def test_a_look_at_a_chain_tells_that_it_goes_on(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layer that is opened and each look for a path is progress."""
    monkeypatch.setattr(pulse, "PROGRESS_SECONDS", 0.0)
    told: list[dict[str, object]] = []
    source = {"root": str(tmp_path), "repository": None}
    request = {"do": "below", "sources": [source], "lowers": [[0, HEX]], "paths": ["a", "b"]}
    found = answer(request, told.append)

    assert {"directories": []} == found
    assert [{"steps": step} for step in (1, 2, 3)] == told


def test_scan_shows_bytes(tmp_path: Path, directory: Path) -> None:
    """A name that is no UTF-8 comes through; a long text of a message is shortened."""
    inside = directory / "layerfs" / os.fsdecode(b"\xff")
    inside.mkdir()
    (inside / (".wh." + "x" * 200)).touch()
    found = ask("scan", tmp_path)

    assert ["\udcff/.wh." + "x" * 200] == found["markers"]
    assert len(misses.shown("x" * 5000)) < 1100


@contextmanager
def nested(top: Path, depth: int) -> Iterator[None]:
    """Have directories within one another for the time of the block.

    They are taken away by what can do that: the cleaner of pytest's own directories cannot.
    """
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    try:
        yield
    finally:
        remove_tree(top, "d")


def test_scan_is_deep(tmp_path: Path, directory: Path) -> None:
    """Directories may lie deeper than Python's own stack, up to what a path can name."""
    (directory / "layerfs/.cvmfscatalog").unlink()
    with nested(directory / "layerfs", 1500):
        assert 1500 == ask("scan", tmp_path)["entries"]


def test_markers_may_not_lie_too_deep(tmp_path: Path, directory: Path) -> None:
    """A companion would have to be as deep; such a layer is a miss."""
    with nested(directory / "layerfs", scanning.MAX_MARKED_DEPTH + 1):
        found = ask("scan", tmp_path)

    assert "failed" == found["reason"]
    assert "deeper than" in str(found["detail"])


def test_scan_has_a_floor(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directories that no path can name make the layer a miss instead of using up descriptors."""
    monkeypatch.setattr(scanning, "MAX_DEPTH", 10)
    with nested(directory / "layerfs", 20):
        assert "failed" == ask("scan", tmp_path)["reason"]


def test_scan_fails_as_a_whole(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that cannot be read spoils the scan: half a result would be a wrong one."""
    (directory / "layerfs/one").mkdir()
    (directory / "layerfs/two").mkdir()
    monkeypatch.setattr(os, "open", failing(errno.EIO, "one"))
    found = ask("scan", tmp_path)

    assert "io-error" == found["reason"]
    assert "layerfs/one" in str(found["detail"])


def test_scan_reports_progress(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long scan says from time to time how far it is."""
    monkeypatch.setattr(scanning, "PROGRESS_ENTRIES", 2)
    for name in "abcd":
        (directory / "layerfs" / name).touch()
    signs: list[dict[str, object]] = []
    source = {"root": str(tmp_path), "repository": None}
    answer({"do": "scan", "source": source, "layer": HEX}, signs.append)

    assert [{"entries": 2}, {"entries": 4}] == signs


def test_descriptors(tmp_path: Path, directory: Path) -> None:
    """No request leaves a descriptor open, whether or not it succeeds."""
    describe(directory, [ENTRY])
    (directory / "layerfs/a/b").mkdir(parents=True)
    before = len(list(Path("/proc/self/fd").iterdir()))
    look(tmp_path)
    look(tmp_path, REPOSITORY)
    check(tmp_path, HEX, "e" * 64)
    ask("scan", tmp_path)
    ask("look", tmp_path, layer="../x")

    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_digest_is_checked(tmp_path: Path, directory: Path) -> None:
    """What is no digest never becomes part of a path."""
    for digits in ("", "../../etc", HEX.upper(), HEX + "0", HEX[:-1] + "/"):
        assert "failed" == ask("look", tmp_path, layer=digits)["reason"]


def test_bad_request() -> None:
    """A request that makes no sense costs an answer, not the process."""
    assert "failed" == answer({"do": "dance"}, lambda _: None)["reason"]
    assert "failed" == answer({"do": "look"}, lambda _: None)["reason"]


def reasons() -> Iterator[str]:
    """Give every reason that the worker knows."""
    yield from misses._CLASSES.values()
    yield from (misses.NOT_MOUNTED, misses.WRONG_REPOSITORY, misses.BAD_METADATA, misses.FAILED)


def test_a_lack_of_memory_is_a_miss(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer that is too large to look at is said to be so, without the words of Python."""

    def too_large(_: object, descriptor: int, path: str) -> None:
        raise MemoryError

    monkeypatch.setattr(scanning.Scan, "run", too_large)
    found = ask("scan", tmp_path)

    assert "failed" == found["reason"]
    assert f"it takes more than {1 << 30} bytes to look at" == found["detail"]


def test_vocabulary() -> None:
    """The worker, which imports nothing of the domain, speaks its words."""
    assert {reason.value for reason in Reason} >= set(reasons())
    assert WHITEOUT_PREFIX == scanning.WHITEOUT_PREFIX.encode()
    assert set(CATALOG_MARKERS) == {marker.encode() for marker in scanning.CATALOG_MARKERS}


def test_worker_is_light() -> None:
    """A probe process imports the standard library and its own few modules, nothing else."""
    program = (
        f"import sys, {WORKER_MODULE}.__main__\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('cvmfs_snapshotter.')))"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True
    )
    everything, ours = (line.split() for line in run.stdout.splitlines())
    package = "cvmfs_snapshotter.adapters"

    assert set() == {
        name
        for name in everything
        if name not in sys.stdlib_module_names
        and not name.startswith(("cvmfs_snapshotter", "__"))
        and name not in {"_distutils_hack", "sitecustomize"}
    }
    assert {f"{package}", f"{package}.layers"} == {
        name for name in ours if not name.startswith(WORKER_MODULE)
    }


def test_worker_over_pipes(tmp_path: Path, directory: Path) -> None:
    """The program answers line by line and ends when its standard input does."""
    source = {"root": str(tmp_path), "repository": None}
    requests = [{"id": n, "do": "look", "source": source, "layer": HEX} for n in (1, 2)]
    run = subprocess.run(
        [sys.executable, "-I", "-m", WORKER_MODULE],
        input="".join(json.dumps(request) + "\n" for request in requests),
        check=True,
        capture_output=True,
        text=True,
    )

    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [(1, None, True), (2, None, True)] == [
        (a["id"], a["answer"]["diff_id"], a["answer"]["proven"]) for a in answers
    ]
    assert "" == run.stderr


@pytest.mark.parametrize("do", ["look", "check"])
def test_short_requests_note_their_progress(tmp_path: Path, directory: Path, do: str) -> None:
    """Where a look-up or check has come to stands in standard error, and nowhere else."""
    source = {"root": str(tmp_path), "repository": None}
    requests: dict[str, dict[str, object]] = {
        "look": {"source": source, "layer": HEX, "below": [HEX] * 3},
        "check": {"sources": [source], "layers": [[0, HEX]] * 4},
    }
    with (tmp_path / "signs").open("w+b") as signs:
        run = subprocess.run(
            [sys.executable, "-I", "-m", WORKER_MODULE],
            input=json.dumps({"id": 7, "do": do, **requests[do]}).encode(),
            check=True,
            stdout=subprocess.PIPE,
            stderr=signs,
        )

    (only,) = run.stdout.splitlines()
    assert {"id", "answer"} == set(json.loads(only))
    noted = (tmp_path / "signs").read_text()
    assert {"id": 7, "progress": {"at": 3}} == json.loads(noted)
    assert noted.endswith("\n")
