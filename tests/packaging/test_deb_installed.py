"""The Debian package, installed in a clean Debian 12, under a real systemd."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.domain.errors import NotFoundError
from tests.contract.wire import WireSnapshotter
from tests.harness.processes import Program, wait_until
from tests.packaging.clean import RUNTIME, STATE, UNIT, Booted, Clean, booted, clean
from tests.packaging.test_deb import CONFIG, NAME, field


@pytest.fixture
def system(deb: Path) -> Iterator[Booted]:
    """Give a system on which the package has been installed."""
    with booted() as made:
        made.install(deb)
        yield made


@pytest.fixture
def tree() -> Iterator[Clean]:
    """Give a clean tree."""
    with clean() as made:
        yield made


def later(deb: Path, directory: Path, preinst: str = "") -> Path:
    """Make a package of a later version, which may have a script of its own."""
    unpacked = directory / "later"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, unpacked], check=True)
    control = unpacked / "DEBIAN/control"
    version = field(deb, "Version")
    control.write_text(control.read_text().replace(version, f"{version}+later"))
    if preinst:
        (unpacked / "DEBIAN/preinst").write_text(preinst)
        (unpacked / "DEBIAN/preinst").chmod(0o755)
    # It has a new default in the configuration too.
    config = unpacked / CONFIG[1:]
    config.write_text(config.read_text() + "# later\n")
    made = directory / "later.deb"
    pack = ("dpkg-deb", "--root-owner-group", "-Znone", "--build", unpacked, made)
    subprocess.run(pack, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(unpacked)
    return made


def keys(system: Booted) -> list[str]:
    """Ask the daemon for its snapshots."""
    with closing(WireSnapshotter(system.socket)) as client:
        return sorted(one.name for batch in client.list([]) for one in batch)


def prepare(system: Booted, key: str) -> None:
    """Make a snapshot, as containerd does for a container."""
    with closing(WireSnapshotter(system.socket)) as client:
        client.prepare(key, "", {})


def test_it_starts_and_serves(system: Booted) -> None:
    """The unit is active and enabled, the daemon answers, both commands tell their version."""
    assert "active" == system.shown("ActiveState")
    assert "enabled" == system.shown("UnitFileState")
    with closing(WireSnapshotter(system.socket)) as client, pytest.raises(NotFoundError):
        client.stat("a")
    for name in (NAME, "cvmfs_snapshotter"):
        assert f"{NAME} {__version__}\n" == system.run(name, "--version")
    assert "" == system.run("dpkg", "--verify", NAME)
    assert "unpacked.cern.ch" in system.run(NAME, "config", "show", "--config", CONFIG)
    system.run(NAME, "config", "check", "--config", CONFIG)


def test_an_upgrade_loses_nothing(system: Booted, deb: Path, tmp_path: Path) -> None:
    """Another process serves what was there; what the administrator wrote and disabled stays."""
    prepare(system, "container")
    before = system.shown("MainPID")
    mine = "log_level = 'debug'\n"
    (system.root / CONFIG[1:]).write_text(mine)

    system.install(later(deb, tmp_path))

    assert "active" == system.shown("ActiveState")
    assert before != system.shown("MainPID")
    assert ["container"] == keys(system)
    assert mine == (system.root / CONFIG[1:]).read_text()

    system.run("systemctl", "disable", "--now", UNIT)
    system.install(deb)

    assert ("inactive", "disabled") == (system.shown("ActiveState"), system.shown("UnitFileState"))


def test_an_upgrade_that_fails_goes_back(system: Booted, deb: Path, tmp_path: Path) -> None:
    """The daemon that was stopped for it serves again."""
    prepare(system, "container")

    with pytest.raises(RuntimeError, match="subprocess returned error exit status 7"):
        system.install(later(deb, tmp_path, preinst="#!/bin/sh\nexit 7\n"))

    assert "active" == system.shown("ActiveState")
    assert ["container"] == keys(system)
    assert field(deb, "Version") == system.run("dpkg-query", "-W", "-f${Version}", NAME)


def test_removed_it_leaves_what_containers_stand_on(system: Booted, deb: Path) -> None:
    """Purged too, as long as there is a snapshot; installed again, it serves what was there."""
    prepare(system, "container")
    kept = sorted((system.root / STATE / "snapshots").iterdir())

    said = system.run("dpkg", "--remove", NAME)

    assert f"their files stay in /{STATE}" in said
    assert not (system.root / RUNTIME / "containerd-cvmfs-grpc.sock").exists()
    assert (system.root / CONFIG[1:]).exists()

    said = system.run("dpkg", "--purge", NAME)

    assert f"/{STATE} stays: it holds snapshots" in said
    assert kept == sorted((system.root / STATE / "snapshots").iterdir())
    assert not (system.root / CONFIG[1:]).exists()

    system.install(deb)

    assert ["container"] == keys(system)


def test_purged_it_leaves_nothing(deb: Path) -> None:
    """Where no snapshot is left, no file of it is, and nobody was asked."""
    with booted() as system:
        before = system.clean.files()
        system.install(deb)
        prepare(system, "container")
        with closing(WireSnapshotter(system.socket)) as client:
            client.remove("container")
            client.cleanup()

        said = system.run("dpkg", "--purge", NAME)

        assert "stays" not in said
        assert set() == system.clean.files() - before
        assert not (system.root / RUNTIME).exists()


def test_one_that_cannot_start_is_installed_all_the_same(deb: Path) -> None:
    """The administrator is told, and the daemon comes once the cause has gone."""
    with booted() as system:
        go_program = system.root / STATE / "snapshotter"
        go_program.mkdir(parents=True)
        (go_program / "metadata.db").write_text("records")

        said = system.install(deb)

        assert f"the daemon did not start: systemctl status {UNIT}" in said
        assert "install ok installed" == system.run("dpkg-query", "-W", "-f${Status}", NAME)

        (go_program / "metadata.db").unlink()

        wait_until("the daemon", lambda: system.shown("ActiveState") == "active")


def test_it_runs_without_systemd(tree: Clean, deb: Path) -> None:
    """Where nothing is booted nothing is started; by hand, the daemon serves."""
    tree.run("dpkg", "--install", tree.put(deb))

    assert not (tree.path / STATE).exists()
    assert f"{NAME} {__version__}\n" == tree.run(NAME, "--version")

    command = tree.command(NAME, "run", "--config", CONFIG)
    log = tree.path / "root/log"
    daemon = Program("daemon", command, log, {"PATH": "/usr/sbin:/usr/bin"}, Path("/")).start()
    socket = tree.path / RUNTIME / "containerd-cvmfs-grpc.sock"
    try:
        daemon.wait_ready(socket.is_socket)
        with closing(WireSnapshotter(socket)) as client, pytest.raises(NotFoundError):
            client.stat("a")
    finally:
        assert 0 == daemon.terminate()


def test_every_library_comes_from_a_package_it_depends_on(tree: Clean, deb: Path) -> None:
    """No library is there by accident: ldd finds each in what Depends: names."""
    tree.run("dpkg", "--install", tree.put(deb))
    found = tree.run(
        *("sh", "-c", f"find /usr/lib/{NAME} -name '*.so' -exec ldd {{}} + | sort -u"),
    )
    paths = {line.split()[2] for line in found.splitlines() if " => " in line}
    owners = {tree.run("dpkg", "--search", f"*{Path(path).name}").split(":")[0] for path in paths}
    depends = {one.split()[0] for one in field(deb, "Depends").split(", ")}

    assert paths
    assert "not found" not in found
    assert owners <= depends
