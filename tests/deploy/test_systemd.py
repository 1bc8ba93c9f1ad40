"""The unit file by the words of systemd itself."""

import re
import shutil
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints import daemon
from cvmfs_snapshotter.entrypoints.cli import flags
from cvmfs_snapshotter.entrypoints.cli.arguments import parse
from tests.deploy import unit
from tests.harness.parts import ROOT


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Give the unit as it would be with a program where it looks for one."""
    program = shutil.which("true")
    assert program is not None
    text = unit.UNIT.read_text()
    started = unit.settings("ExecStart")[0].split()[0]
    path = tmp_path / unit.UNIT.name
    path.write_text(text.replace(started, program))
    return path


def test_verify(installed: Path) -> None:
    """systemd understands every line of it and has nothing to say."""
    assert "" == unit.run("verify", "--man=no", installed)


def test_verify_finds_mistakes(installed: Path) -> None:
    """The test before this one can fail."""
    installed.write_text(installed.read_text().replace("ProtectHome=", "ProtectHaus="))

    assert "ProtectHaus" in unit.run("verify", "--man=no", installed, check=False)


def test_security(installed: Path) -> None:
    """By systemd's own measure it is well confined (0 is best, 10 worst)."""
    text = unit.run("security", "--offline=yes", "--threshold=35", installed)
    level = re.search(r"exposure level for .*: ([0-9.]+)", text)

    assert level is not None
    assert float(level[1]) <= 3.5
    page = (ROOT / "docs" / "security.md").read_text()
    assert f"exposure level is {level[1]}," in " ".join(page.split())


def test_what_must_not_be_set() -> None:
    """Each of these would break something without a word."""
    for key in (
        *("PrivateDevices", "ProtectClock", "ProcSubset", "RestrictSUIDSGID", "PrivateUsers"),
        *("User", "DynamicUser", "RootDirectory", "PrivateMounts"),
        "MountFlags",  # its default is what lets later mounts through
    ):
        assert [] == unit.settings(key)


def test_the_time_to_stop() -> None:
    """Calls in flight have their time to finish before systemd kills, with as much again."""
    (seconds,) = unit.settings("TimeoutStopSec")
    assert float(seconds) >= 2 * daemon.GRACE


def test_it_needs_no_other_unit() -> None:
    """The order of start is no condition: each of containerd and the daemon runs without."""
    for key in ("Requires", "Requisite", "BindsTo", "PartOf", "Wants", "Conflicts"):
        assert [] == unit.settings(key)
    assert "containerd.service" in unit.settings("Before")[0].split()


def test_directories_are_those_of_the_program() -> None:
    """State and socket lie where the flags' defaults put them."""
    (state,) = unit.settings("StateDirectory")
    (runtime,) = unit.settings("RuntimeDirectory")
    assert f"/var/lib/{state}" == flags.DEFAULT_ROOT
    assert f"/run/{runtime}" == str(Path(flags.DEFAULT_ADDRESS).parent)


def test_the_command_can_be_read() -> None:
    """The program takes the arguments that the unit gives it."""
    _, *arguments = unit.settings("ExecStart")[0].split()
    command = parse(arguments, as_daemon=False)
    assert "/etc/cvmfs-snapshotter/config.toml" == command.arguments.config


def test_nothing_that_mounts_is_allowed() -> None:
    """The filters leave no way to mount, and leave what the daemon lives on."""
    allowed = unit.allowed_calls()

    assert allowed.isdisjoint(
        {"mount", "umount2", "pivot_root", "fsmount", "move_mount", "chroot", "setuid", "bpf"}
    )
    assert allowed >= {"mknodat", "fchown", "fsetxattr", "flock", "prlimit64", "fdatasync"}
