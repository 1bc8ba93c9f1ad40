"""Files on disk."""

import os
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.containerd_setup import files
from cvmfs_snapshotter.entrypoints.containerd_setup.errors import RefusedError


def test_owner_mode_and_attributes_stay(tmp_path: Path) -> None:
    """A new file has what the old one had beside its bytes."""
    path = tmp_path / "config.toml"
    path.write_text("old")
    path.chmod(0o640)
    os.chown(path, 12, 34)
    os.setxattr(path, "user.label", b"kept")

    with files.written(path, "new", path) as made:
        files.replace(path, made, "old")

    found = path.stat()
    assert ("new", 0o100640, 12, 34) == (
        *(path.read_text(), found.st_mode),
        *(found.st_uid, found.st_gid),
    )
    assert b"kept" == os.getxattr(path, "user.label")
    assert [path] == list(tmp_path.iterdir())


def test_a_change_by_somebody_else(tmp_path: Path) -> None:
    """What was changed meanwhile is neither replaced nor removed; nothing is left beside it."""
    path = tmp_path / "config.toml"
    path.write_text("theirs")

    with (
        files.written(path, "new", path) as made,
        pytest.raises(RefusedError, match="else changed"),
    ):
        files.replace(path, made, "old")
    with pytest.raises(RefusedError, match="else changed"):
        files.remove(path, "old")

    assert "theirs" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_the_new_file_matches_no_pattern(tmp_path: Path) -> None:
    """A containerd that starts meanwhile imports neither it nor a copy by `*.toml`."""
    path = tmp_path / "config.toml"
    path.write_text("old")

    with files.written(path, "new", path):
        files.back_up(path, "old")
        assert [path] == list(tmp_path.glob("*.toml"))


def test_copies_have_free_names(tmp_path: Path) -> None:
    """A copy that says something else is kept; the same text needs no second one."""
    path = tmp_path / "config.toml"
    path.write_text("one")
    first = files.back_up(path, "one")
    second = files.back_up(path, "two")

    assert first == files.back_up(path, "one")
    assert ["one", "two"] == [first.read_text(), second.read_text()]

    files.forget_backups(path, "one")

    assert [False, True] == [first.exists(), second.exists()]


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"\xff", "byte 0 is not UTF-8"), (b"#" * (1 << 20) + b"\n", "more than")],
    ids=["bytes", "size"],
)
def test_no_text(tmp_path: Path, content: bytes, why: str) -> None:
    """A file that is no configuration is refused."""
    path = tmp_path / "config.toml"
    path.write_bytes(content)

    with pytest.raises(RefusedError, match=why):
        files.load(path)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """The system's reason is told; a file that is not there is none."""
    with pytest.raises(RefusedError, match="Is a directory"):
        files.load(tmp_path)

    assert files.load(tmp_path / "none") is None
