"""Reading a configuration below another root."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.containerd_config.reading import UnreadableError
from cvmfs_snapshotter.entrypoints.containerd_config.releases import RELEASES
from cvmfs_snapshotter.entrypoints.doctor.elsewhere import ElsewhereError, read_elsewhere

RELEASE = RELEASES["2.1"]
CONFIG = "/etc/containerd/config.toml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make another root with a directory for the configuration."""
    (tmp_path / "etc/containerd/conf.d").mkdir(parents=True)
    return tmp_path


def test_paths_lead_where_they_lead_there(root: Path) -> None:
    """Imports and symbolic links that are absolute stay below that root."""
    here = root / "etc/containerd"
    (here / "real.toml").write_text('version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n')
    (here / "config.toml").symlink_to("/etc/containerd/real.toml")
    (here / "conf.d/a.toml").write_text("version = 3\nday = 2026-01-02\n")
    first, second = read_elsewhere(str(root), CONFIG, RELEASE)

    assert (CONFIG, 3) == (first.path, first.version)
    assert ("/etc/containerd/conf.d/a.toml", "2026-01-02") == (second.path, second.content["day"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"version = \xff", "not UTF-8"),
        (b"version =", "not TOML"),
    ],
    ids=["none", "encoding", "syntax"],
)
def test_files_that_cannot_be_understood(root: Path, content: bytes | None, message: str) -> None:
    """The error is the one that reading here has."""
    if content is not None:
        (root / CONFIG[1:]).write_bytes(content)
    with pytest.raises(UnreadableError, match=message):
        read_elsewhere(str(root), CONFIG, RELEASE)


def test_a_file_that_never_answers(root: Path) -> None:
    """It is not waited for: the process is killed."""
    os.mkfifo(root / CONFIG[1:])
    with pytest.raises(ElsewhereError, match=r"not read within 0\.5 s"):
        read_elsewhere(str(root), CONFIG, RELEASE, 0.5)


def test_a_file_without_end(root: Path) -> None:
    """It takes no more memory than a bound, and is no configuration."""
    with (root / CONFIG[1:]).open("wb") as endless:
        endless.truncate(1 << 42)
    with pytest.raises(ElsewhereError, match="MemoryError"):
        read_elsewhere(str(root), CONFIG, RELEASE)


def test_no_code_comes_from_there(root: Path) -> None:
    """A module that lies there where Python has its own is not imported."""
    (root / CONFIG[1:]).write_text("version = 3\n")
    library = root / Path(os.__file__).parent.relative_to("/")
    library.mkdir(parents=True)
    (library / "colorsys.py").write_text("print('imported')\n")
    code = (
        "from cvmfs_snapshotter.entrypoints.doctor.elsewhere import main\n"
        f"main([{str(root)!r}, {CONFIG!r}, {RELEASE.name!r}])\n"
        "import colorsys\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], check=False, timeout=60, capture_output=True, text=True
    )

    assert '{"documents"' in done.stdout
    assert "imported" not in done.stdout
    assert "No module named 'colorsys'" in done.stderr


def test_a_root_that_is_none(tmp_path: Path) -> None:
    """As of a process that has ended."""
    with pytest.raises(ElsewhereError, match="FileNotFoundError"):
        read_elsewhere(str(tmp_path / "none"), CONFIG, RELEASE)
