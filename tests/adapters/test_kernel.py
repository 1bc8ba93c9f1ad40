"""What is found out about the kernel, on this node and on others."""

import subprocess
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.kernel import (
    OverlayError,
    opaque_attribute,
    overlay_options,
    require_overlay,
)

INITIAL = "         0          0 4294967295\n"
MAPPED = "         0     100000      65536\n"


def system(
    tmp_path: Path, *, index: bool = True, uid_map: str = INITIAL, release: str = "6.1.0-9-amd64"
) -> Path:
    """Make what is read of another node."""
    for name, content in {
        "proc/self/uid_map": uid_map,
        "proc/self/mountinfo": "",
        "proc/sys/kernel/osrelease": release + "\n",
        "proc/filesystems": "nodev\tproc\n\text4\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    if index:
        (tmp_path / "sys/module/overlay/parameters").mkdir(parents=True)
        (tmp_path / "sys/module/overlay/parameters/index").write_text("N\n")
    return tmp_path


@pytest.mark.parametrize(
    ("index", "uid_map", "release", "expected"),
    [
        (True, INITIAL, "6.1.0", ("index=off",)),
        (False, INITIAL, "6.1.0", ()),
        (True, MAPPED, "6.1.0", ("index=off", "userxattr")),
        (False, MAPPED, "5.11-rc1", ("userxattr",)),
        (False, MAPPED, "5.10.0-28-amd64", ()),
        (False, MAPPED, "4.18.0-553.el8", ()),
        (False, MAPPED, "nonsense", ()),
        (False, "", "6.1.0", ()),
    ],
)
def test_options(
    tmp_path: Path, index: bool, uid_map: str, release: str, expected: tuple[str, ...]
) -> None:
    """The options are those that containerd's own snapshotter would use."""
    node = system(tmp_path, index=index, uid_map=uid_map, release=release)

    assert expected == overlay_options(node)


@pytest.mark.parametrize(
    ("uid_map", "expected"),
    [(INITIAL, "trusted.overlay.opaque"), (MAPPED, "user.overlay.opaque")],
)
def test_opaque_attribute(tmp_path: Path, uid_map: str, expected: str) -> None:
    """With the option userxattr the kernel reads another attribute."""
    assert expected == opaque_attribute(system(tmp_path, uid_map=uid_map))


def test_this_node(tmp_path: Path) -> None:
    """This node has overlays, and its options are read without any error."""
    require_overlay(str(tmp_path))

    assert {"index=off", "userxattr"} >= set(overlay_options())
    assert [] == list(tmp_path.iterdir())


def test_no_overlay(tmp_path: Path) -> None:
    """A kernel without overlayfs, as its modules show, is refused."""
    node = system(tmp_path)
    modules = node / "lib/modules/6.1.0-9-amd64"
    modules.mkdir(parents=True)
    (modules / "modules.dep").write_text("kernel/fs/ext4/ext4.ko:\n")
    with pytest.raises(OverlayError, match="no overlay file system"):
        require_overlay(str(tmp_path), node)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("modules.dep", "kernel/fs/overlayfs/overlay.ko.xz:\n"),
        ("modules.builtin", "kernel/fs/overlayfs/overlay.ko\n"),
        ("other", ""),
    ],
)
def test_overlay_not_loaded(tmp_path: Path, name: str, content: str) -> None:
    """A kernel that will load the module at the first mount, or may, is accepted."""
    node = system(tmp_path)
    modules = node / "lib/modules/6.1.0-9-amd64"
    modules.mkdir(parents=True)
    (modules / name).write_text(content)
    require_overlay(str(tmp_path), node)


def test_root_on_an_overlay(tmp_path: Path) -> None:
    """A root on an overlay is refused, for no other overlay can have its upper directory there."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    merged = tmp_path / "merged"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    try:
        with pytest.raises(OverlayError, match="itself on an overlay"):
            require_overlay(str(merged))
    finally:
        subprocess.run(["umount", merged], check=True)


def test_types_of_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system whose directories do not tell types is refused."""
    monkeypatch.setattr("cvmfs_snapshotter.adapters.kernel._gives_types", lambda _: False)
    with pytest.raises(OverlayError, match="d_type"):
        require_overlay(str(tmp_path))
