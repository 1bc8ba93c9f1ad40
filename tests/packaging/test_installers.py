"""The wheel, installed by uv and pipx with the commands that docs/install.md has."""

import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.domain.errors import NotFoundError
from tests.contract.wire import WireSnapshotter
from tests.deploy import unit
from tests.harness.parts import ROOT
from tests.harness.processes import Program
from tests.harness.workspace import workspace
from tests.packaging.test_consistency import pins
from tests.packaging.test_distribution import build, checkout

PAGE = (ROOT / "docs/install.md").read_text()
BIN = Path(sys.prefix) / "bin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    tree = checkout(tmp_path_factory.mktemp("tree"))
    return build(tree, tmp_path_factory.mktemp("wheel"), "--wheel")


@pytest.fixture(scope="module")
def wheels() -> str:
    """Give the directory of the wheels that are pinned."""
    command = [ROOT / "script/wheels"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def commands(installer: str) -> str:
    """Give what the page tells to run for an installer."""
    (section,) = re.findall(rf"^## {installer}\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    blocks: list[str] = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return blocks[-1]


def install(
    installer: str, base: Path, wheel: Path, wheels: str, requirements: str
) -> "subprocess.CompletedProcess[str]":
    """Run the commands of the page, with directories below `base` in the place of the system's."""
    for name in ("dist", "requirements", "home"):
        (base / name).mkdir()
    (base / "dist" / wheel.name).symlink_to(wheel)
    (base / "requirements/run.txt").write_text(requirements)
    script = re.sub(r"(?<=[= ])(/opt|/usr/local)", rf"{base}\1", commands(installer))
    return subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=base,
        env={
            "HOME": str(base / "home"),
            "PATH": f"{base}/usr/local/bin:{BIN}:/usr/bin:/bin",
            # Without an index: all that is needed is in the directory.
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": wheels,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def pinned() -> str:
    """Give the requirements as they are."""
    return (ROOT / "requirements/run.txt").read_text()


@pytest.mark.parametrize("installer", ["uv", "pipx"])
def test_the_commands_of_the_page_install_it(installer: str, wheel: Path, wheels: str) -> None:
    """Both commands tell their version, the libraries are those pinned, a daemon serves."""
    with workspace() as made:
        base = made.base
        done = install(installer, base, wheel, wheels, pinned())
        assert done.returncode == 0, done.stdout

        for name in ("cvmfs-snapshotter", "cvmfs_snapshotter"):
            command = [f"{base}/usr/local/bin/{name}", "--version"]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            assert f"cvmfs-snapshotter {__version__}\n" == said
        found = {
            path.name.removesuffix(".dist-info").replace("_", "-").lower()
            for path in (base / "opt").rglob("site-packages/*.dist-info")
        }
        assert {f"{name}-{version}" for name, version in pins("run.txt").items()} <= found
        _serves(base)


@pytest.mark.parametrize("installer", ["uv", "pipx"])
def test_a_library_that_was_changed_is_refused(installer: str, wheel: Path, wheels: str) -> None:
    """The last command fails, with the hash that it wanted."""
    wrong = re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", pinned())
    with workspace() as made:
        done = install(installer, made.base, wheel, wheels, wrong)

    assert done.returncode != 0
    assert "sha256:00000000" in done.stdout


def test_the_unit_is_changed_in_one_line() -> None:
    """What the page does to it leads to the commands of uv and pipx, and to nothing else."""
    (expression,) = re.findall(r"^sed '(.*)' deploy/systemd", PAGE, re.MULTILINE)
    command = ["sed", expression, unit.UNIT]
    changed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = zip(unit.UNIT.read_text().splitlines(), changed.splitlines(), strict=True)

    arguments = "cvmfs-snapshotter run --config /etc/cvmfs-snapshotter/config.toml"
    assert [(f"ExecStart=/usr/bin/{arguments}", f"ExecStart=/usr/local/bin/{arguments}")] == [
        (before, after) for before, after in lines if before != after
    ]


def _serves(base: Path) -> None:
    """Start the daemon that was installed, and ask it for a snapshot that is not there."""
    socket = base / "socket"
    command = (
        *(f"{base}/usr/local/bin/cvmfs-snapshotter", "run", "--root", f"{base}/root"),
        *("--address", str(socket), "--config", f"{ROOT}/deploy/debian/config.toml"),
    )
    environment = {"PATH": os.environ["PATH"]}
    daemon = Program("daemon", command, base / "log", environment, base).start()
    try:
        daemon.wait_ready(socket.is_socket)
        with closing(WireSnapshotter(socket)) as client, pytest.raises(NotFoundError):
            client.stat("a")
    finally:
        assert 0 == daemon.terminate()
