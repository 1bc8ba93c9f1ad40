"""The Debian package on a node of the Go snapshotter, whose unit has the name of ours."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.parts import ROOT
from tests.harness.processes import wait_until
from tests.packaging.clean import STATE, UNIT, Booted, booted
from tests.packaging.test_deb import CONFIG, NAME
from tests.packaging.test_deb_installed import later

PROGRAM = "usr/bin/cvmfs_snapshotter"
OLD_UNIT = f"etc/systemd/system/{UNIT}"
SIGNALS = "var/log/signals"
ADVICE = f"/usr/share/doc/{NAME}/docs/migration.md"

# In the place of the Go program: it notes each signal that tells it to end, and ends.
STAND_IN = f"""\
#!/bin/sh
trap 'echo TERM >>/{SIGNALS}; exit 0' TERM
trap 'echo INT >>/{SIGNALS}; exit 0' INT
: >/run/started
while :; do
    sleep 1000 &
    wait $!
done
"""

# As the Go program's sources have it.
GO_UNIT = f"""\
[Unit]
Before=containerd.service

[Service]
ExecStart=/{PROGRAM} --log-level=debug
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
def system() -> Iterator[Booted]:
    """Give a system on which the Go snapshotter runs and has recorded something."""
    with booted() as made:
        program = made.root / PROGRAM
        program.write_text(STAND_IN)
        program.chmod(0o755)
        (made.root / OLD_UNIT).write_text(GO_UNIT)
        (made.root / STATE / "snapshotter").mkdir(parents=True)
        (made.root / STATE / "snapshotter/metadata.db").write_text("records")
        made.run("systemctl", "daemon-reload")
        made.run("systemctl", "enable", "--now", UNIT)
        wait_until("its traps", (made.root / "run/started").exists)
        yield made


def signals(system: Booted) -> str:
    """Give the signals that the stand-in has received."""
    path = system.root / SIGNALS
    return path.read_text() if path.exists() else ""


def typed(heading: str) -> str:
    """Give the commands of a section of the page."""
    page = (ROOT / "docs/migration.md").read_text()
    text = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert isinstance(block, str)
    return block


def test_one_that_runs_is_not_touched(system: Booted, deb: Path, tmp_path: Path) -> None:
    """By no installation, upgrade or removal; each says so, and is complete."""
    before = system.shown("MainPID")

    for said in (
        system.install(deb),
        system.install(later(deb, tmp_path)),
        system.run("dpkg", "--remove", NAME),
    ):
        assert f"{UNIT} is not this package's and is left as it is: " in said
        assert f"/{PROGRAM} --log-level=debug" in said
        assert ADVICE in said
        assert before == system.shown("MainPID")
    assert "" == signals(system)
    assert "enabled" == system.shown("UnitFileState")


def test_one_that_was_started_from_a_unit_that_is_gone(system: Booted, deb: Path) -> None:
    """What runs counts, though the unit would start ours by now."""
    before = system.shown("MainPID")
    (system.root / OLD_UNIT).unlink()

    assert ADVICE in system.install(deb)
    assert "path=/usr/bin/cvmfs-snapshotter" in system.shown("ExecStart")
    assert ADVICE in system.run("dpkg", "--remove", NAME)
    assert before == system.shown("MainPID")
    assert "" == signals(system)


def test_one_that_was_killed_is_not_started(system: Booted, deb: Path) -> None:
    """Its unit goes before that of the package, which does not enable it either."""
    system.run("sh", "-e", "-c", typed("Kill it, do not stop it"))
    system.run("systemctl", "disable", UNIT)

    said = system.install(deb)

    assert ADVICE in said
    assert ("0", "disabled") == (system.shown("MainPID"), system.shown("UnitFileState"))
    assert "install ok installed" == system.run("dpkg-query", "-W", "-f${Status}", NAME)
    assert "" == signals(system)


def test_the_commands_of_the_page(system: Booted, deb: Path) -> None:
    """They kill without SIGTERM; the package starts nothing before the unit is unmasked."""
    system.run("sh", "-e", "-c", typed("Kill it, do not stop it"))
    assert ("failed", "0") == (system.shown("ActiveState"), system.shown("MainPID"))
    system.run("sh", "-e", "-c", typed("Move its unit away"))
    assert "masked" == system.shown("LoadState")

    said = system.install(deb)

    assert ADVICE not in said
    assert "0" == system.shown("MainPID")
    system.run("sh", "-e", "-c", typed("Install"))
    assert STAND_IN == (system.root / "root/go-snapshotter/cvmfs_snapshotter").read_text()
    assert GO_UNIT == (system.root / "root/go-snapshotter" / UNIT).read_text()
    # The import has tests of its own.
    (system.root / STATE / "snapshotter/metadata.db").unlink()
    started = re.findall(r"^systemctl .*$", typed("The steps"), re.MULTILINE)
    assert 2 == len(started)

    system.run("sh", "-e", "-c", "\n".join(started))

    assert ("active", "enabled") == (system.shown("ActiveState"), system.shown("UnitFileState"))
    assert "path=/usr/bin/cvmfs-snapshotter" in system.shown("ExecStart")
    assert "" == signals(system)


def test_a_unit_of_the_administrator_that_runs_ours(deb: Path) -> None:
    """It is started and stopped as the package's own."""
    with booted() as system:
        ours = (ROOT / "deploy/systemd" / UNIT).read_text()
        (system.root / OLD_UNIT).write_text(ours)

        said = system.install(deb)

        assert ADVICE not in said
        assert f"/{OLD_UNIT}" == system.shown("FragmentPath")
        assert "active" == system.shown("ActiveState")
        assert CONFIG in system.shown("ExecStart")

        system.run("dpkg", "--remove", NAME)

        assert "inactive" == system.shown("ActiveState")
