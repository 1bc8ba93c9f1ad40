"""What the daemon relies on and others could change."""

import os
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.config import ConfigError, load_config
from cvmfs_snapshotter.entrypoints.trust import distrust, distrust_way
from tests.harness.mounts import read_only

TEXT = 'repository = "a.cern.ch"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a sound configuration file in a directory of its own."""
    path = tmp_path / "etc" / "config.toml"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def _complaint(file: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        load_config(str(file))
    return str(raised.value)


def test_a_sound_file(file: Path) -> None:
    """A file and a directory of root are relied on, also where a group may write."""
    file.chmod(0o664)
    file.parent.chmod(0o775)

    assert "a.cern.ch" == load_config(str(file)).sources[0].repository


def test_a_file_that_everybody_can_write(file: Path) -> None:
    """It is refused with the reason, sticky or not: the bit means nothing on a file."""
    for mode in (0o666, 0o602, 0o1666):
        file.chmod(mode)
        expected = f"{file}: cannot be relied on: everybody can write to it (mode {mode:04o})"
        assert expected == _complaint(file)


def test_a_file_of_somebody_else(file: Path) -> None:
    """Its owner could change it at any time."""
    os.chown(file, 12345, 0)

    assert f"{file}: cannot be relied on: it belongs to user 12345, not to us" == _complaint(file)


def test_a_directory_that_everybody_can_write(file: Path) -> None:
    """The file in it could be replaced, unless the directory is sticky."""
    file.parent.chmod(0o777)
    assert f"{file.parent}: everybody can write to it (mode 0777)" in _complaint(file)

    file.parent.chmod(0o1777)
    assert load_config(str(file)).sources


def test_a_directory_of_somebody_else(file: Path) -> None:
    """Its owner can replace the file in it."""
    os.chown(file.parent, 12345, 0)

    assert f"{file.parent}: it belongs to user 12345" in _complaint(file)


def test_a_link_in_a_sound_directory(file: Path, tmp_path: Path) -> None:
    """Where the link leads to counts too."""
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    assert load_config(str(link)).sources
    file.parent.chmod(0o777)

    assert f"{file.parent}: everybody can write" in _complaint(link)


def test_a_link_that_everybody_can_replace(file: Path, tmp_path: Path) -> None:
    """Whoever can replace the link chooses the configuration."""
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    (open_to_all / "link.toml").symlink_to(file)
    open_to_all.chmod(0o777)

    assert f"{open_to_all}: everybody can write" in _complaint(open_to_all / "link.toml")


def test_a_name_in_the_working_directory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is looked at from where the daemon was started."""
    monkeypatch.chdir(file.parent)
    assert load_config(file.name).sources
    file.parent.chmod(0o777)

    assert ".: everybody can write to it (mode 0777)" == distrust_way(file.name)


def test_a_directory_mounted_read_only(file: Path, tmp_path: Path) -> None:
    """Modes do not matter there: Kubernetes mounts a ConfigMap so, with mode 0777."""
    file.parent.chmod(0o777)
    view = tmp_path / "view"
    view.mkdir()
    with read_only(file.parent, view):
        assert load_config(str(view / file.name)).sources


def test_sticky_directories(tmp_path: Path) -> None:
    """A sticky directory is enough only where that was asked for."""
    tmp_path.chmod(0o1777)

    assert distrust(tmp_path.stat())
    assert "" == distrust(tmp_path.stat(), sticky_is_enough=True)
