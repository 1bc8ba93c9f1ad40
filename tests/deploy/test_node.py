"""The container image's tree, and the script that puts it on a node, where there is nothing."""

import fcntl
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from tests.deploy import image
from tests.deploy.host import UNIT, Host
from tests.entrypoints.containerd_setup.samples import KUBEADM
from tests.harness import parts
from tests.harness.containerd import Containerd
from tests.harness.workspace import workspace

CONFIG = "etc/containerd/config.toml"
OPT = "opt/cvmfs-snapshotter"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image has in /opt/cvmfs-snapshotter."""
    return image.make(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a containerd without images has in its root directory."""
    kept = tmp_path_factory.mktemp("containerd")
    with workspace() as made:
        containerd = Containerd.make(
            parts.find("1.7"), made.base / "c", made.cgroup, registry="127.0.0.1:1", sandbox="none"
        )
        containerd.start()
        containerd.terminate()
        name = "io.containerd.metadata.v1.bolt"
        shutil.copytree(containerd.directory / "root" / name, kept / name)
        containerd.stop()
    return kept


@pytest.fixture
def host(tmp_path: Path, tree: Path, records: Path) -> Iterator[Host]:
    """A node with containerd. It is in memory: the script waits for all that is on its disk."""
    subprocess.run(("mount", "-t", "tmpfs", "tmpfs", tmp_path), check=True)
    made = Host.make(tmp_path, tree)
    (made.path / CONFIG).write_text(KUBEADM)
    shutil.copytree(records, made.path / "var/lib/containerd")
    made.run_unit("containerd.service")
    yield made
    made.stop()
    subprocess.run(("umount", "--lazy", tmp_path), check=True)


def test_the_tree_needs_nothing_of_the_node(host: Host) -> None:
    """Without Python and a C library there the program starts, with all that it may import."""
    name = (host.image / "name").read_text().strip()
    (host.path / OPT).symlink_to("/image")
    copied = ("cp", "-a", host.image, host.path / "image")
    subprocess.run(copied, check=True)
    every = "import alembic, grpc, re2, sqlalchemy, sqlite3, ssl, structlog, ctypes, hashlib; "
    seen = f"import sys; print([p for p in sys.path if not p.startswith('/{OPT}/{name}')])"

    def run(program: str, *arguments: str) -> str:
        command = ("chroot", str(host.path), f"/{OPT}/current/bin/{program}", *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert run("cvmfs-snapshotter", "--version").startswith("cvmfs-snapshotter ")
    assert "[]\n" == run("python3", "-I", "-c", every + seen)


def test_installed(host: Host) -> None:
    """The daemon serves from the tree and is started at boot; containerd is told and restarted."""
    done = host.node("install")

    assert (0, "") == (done.returncode, done.stderr)
    assert "SOURCE  STATE" in done.stdout
    name = (host.image / "name").read_text().strip()
    assert name == (host.path / OPT / "current").readlink().name
    unit = (host.path / "etc/systemd/system" / UNIT).read_text()
    assert f"ExecStart=/{OPT}/current/bin/cvmfs-snapshotter run" in unit
    assert "cvmfs-snapshotter" in (host.path / CONFIG).read_text()
    assert (
        host.settings.read_text() == (host.path / "etc/cvmfs-snapshotter/config.toml").read_text()
    )
    started = host.calls.index(f"restart {UNIT}")
    assert started < host.calls.index("restart containerd.service")
    assert f"--quiet enable {UNIT}" in host.calls
    assert 0 == host.node("check").returncode


def test_installed_again(host: Host) -> None:
    """A new pod finds everything done, and restarts nothing."""
    host.node("install")
    before = len(host.calls)
    done = host.node("install")

    assert 0 == done.returncode, done.stderr
    assert [] == [call for call in host.calls[before:] if call.startswith("restart")]


def test_another_tree(host: Host, tmp_path: Path) -> None:
    """An update restarts the daemon from its new tree, and removes the old one after that."""
    host.node("install")
    old = (host.image / "name").read_text().strip()
    other = tmp_path / "other"
    other.mkdir()
    # Programs know where they are to be, so the new tree is the old one behind a link.
    (other / "0.2").symlink_to(host.image / old)
    subprocess.run(("cp", "-aH", other / "0.2", other / "new"), check=True)
    (other / "0.2").unlink()
    (other / "new").rename(other / "0.2")
    for path in (other / "0.2/bin").iterdir():
        path.write_text(path.read_text().replace(old, "0.2"))
    (other / "name").write_text("0.2\n")
    (other / UNIT).write_bytes((host.image / UNIT).read_bytes())
    before = len(host.calls)

    done = host.node("install", IMAGE=str(other))

    assert 0 == done.returncode, done.stderr
    assert [f"restart {UNIT}"] == [c for c in host.calls[before:] if c.startswith("restart")]
    assert ["0.2", "config.sums", "containerd", "current"] == sorted(
        path.name for path in (host.path / OPT).iterdir()
    )
    assert 0 == host.node("check").returncode


def update(host: Host, tmp_path: Path, program: str) -> str:
    """Make an image with a program that knows only some of what the daemon can; give its place.

    Args:
        host: whose image is the other one.
        tmp_path: takes it.
        program: cases of a shell script; with all other arguments it succeeds.
    """
    other = tmp_path / "update"
    (other / "0.2/bin").mkdir(parents=True)
    path = other / "0.2/bin/cvmfs-snapshotter"
    path.write_text(f"#!/bin/sh\ncase $1 in\n{program}\nesac\n")
    path.chmod(0o755)
    (other / "name").write_text("0.2\n")
    (other / UNIT).write_text((host.image / UNIT).read_text() + "# of 0.2\n")
    return str(other)


def running(host: Host) -> list[str]:
    """What the daemon runs from."""
    names = ("etc/systemd/system/" + UNIT, "etc/cvmfs-snapshotter/config.toml")
    texts = [(host.path / name).read_text() for name in names]
    return [(host.path / OPT / "current").readlink().name, *texts]


@pytest.mark.parametrize("program", ["run) exit 1 ;;", "status) exit 1 ;;"])
def test_an_update_that_does_not_start(host: Host, tmp_path: Path, program: str) -> None:
    """The node keeps a daemon: the one that it had, with its unit and its settings."""
    host.node("install")
    before = running(host)
    settings = host.settings.read_text()
    host.settings.write_text(settings.replace('"tree"', '"other"'))
    failed = host.node("install", IMAGE=update(host, tmp_path, program))

    assert 1 == failed.returncode
    assert "the daemon goes on from what it ran from before" in failed.stderr
    assert before == running(host)
    calls = len(host.calls)
    host.settings.write_text(settings)
    again = host.node("install")
    assert 0 == again.returncode, again.stderr
    assert [] == [call for call in host.calls[calls:] if call.startswith("restart")]
    assert ["config.sums", "containerd", "current"] == sorted(
        path.name for path in (host.path / OPT).iterdir() if path.name != before[0]
    )


def test_neither_starts(host: Host, tmp_path: Path) -> None:
    """That is told, and the next pod tries it again."""
    host.node("install")
    before = running(host)
    (host.path / "failing").write_text(f"restart {UNIT}\n")
    failed = host.node("install", IMAGE=update(host, tmp_path, "x) ;;"))

    assert 1 == failed.returncode
    assert "it does not answer from that either" in failed.stderr
    assert before == running(host)
    (host.path / "failing").unlink()
    calls = len(host.calls)
    assert 0 == host.node("install").returncode
    assert f"restart {UNIT}" in host.calls[calls:]


def slow(host: Host) -> str:
    """A program that is the daemon of now, but takes its time to answer."""
    now = (host.image / "name").read_text().strip()
    return f'status) : >/asked; sleep 3 ;;\nrun) exec /{OPT}/{now}/bin/cvmfs-snapshotter "$@" ;;'


def wait_until_asked(host: Host) -> None:
    """Wait until the daemon of an update is asked for its status."""
    deadline = time.monotonic() + 60
    while not (host.path / "asked").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_told_to_end_during_an_update(host: Host, tmp_path: Path) -> None:
    """The pod ends by itself, and leaves what it found."""
    host.node("install")
    before = running(host)
    with host.begin("install", IMAGE=update(host, tmp_path, slow(host))) as begun:
        wait_until_asked(host)
        begun.terminate()
        errors = begun.communicate(timeout=120)[1]

    assert 143 == begun.returncode
    assert "the daemon goes on from what it ran from before" in errors
    assert before == running(host)


def test_killed_during_an_update(host: Host, tmp_path: Path) -> None:
    """The next pod still knows what the daemon ran from when it answered last."""
    host.node("install")
    before = running(host)
    image = update(host, tmp_path, slow(host))
    with host.begin("install", IMAGE=image) as begun:
        wait_until_asked(host)
        begun.kill()
    assert before != running(host)
    (host.path / "failing").write_text(f"restart {UNIT}\n")
    (host.path / OPT / "restart-daemon").touch()

    assert 1 == host.node("install", IMAGE=image).returncode
    assert before == running(host)


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_one_pod_at_a_time(host: Host, verb: str) -> None:
    """A second one waits outside of what the first may delete, and can be ended meanwhile."""
    with (host.path / "run/cvmfs-snapshotter-node.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with host.begin(verb) as begun:
            assert begun.stdout is not None
            assert "another pod is at work" in begun.stdout.readline()
            begun.terminate()

    assert 143 == begun.returncode
    assert [] == host.calls
    assert [] == list((host.path / "opt").iterdir())


def test_settings_of_an_administrator(host: Host) -> None:
    """What no pod wrote is copied before it is replaced, and is not taken away."""
    place = host.path / "etc/cvmfs-snapshotter/config.toml"
    place.parent.mkdir()
    place.write_text("# theirs\n")
    host.node("install")

    assert host.settings.read_text() == place.read_text()
    copy = place.with_name("config.toml.before-cvmfs-snapshotter")
    assert "# theirs\n" == copy.read_text()

    place.write_text("# edited\n")
    host.node("install")
    assert "# edited\n" == place.with_name(f"{copy.name}.2").read_text()

    place.write_text(place.read_text() + "# edited again\n")
    done = host.node("uninstall")
    assert 0 == done.returncode, done.stderr
    assert "config.toml is not from here, or was changed: it stays" in done.stdout
    assert place.read_text().endswith("# edited again\n")


def test_other_settings(host: Host) -> None:
    """What the daemon does not take changes nothing; what it takes, it is restarted for."""
    host.node("install")
    place = host.path / "etc/cvmfs-snapshotter/config.toml"
    good = host.settings.read_text()
    before = len(host.calls)
    host.settings.write_text("[[source]]\nnome = 1\n")
    refused = host.node("install")

    assert 1 == refused.returncode
    assert "nome" in refused.stderr
    assert (good, before) == (place.read_text(), len(host.calls))

    host.settings.write_text(good.replace('"tree"', '"other"'))
    taken = host.node("install")

    assert 0 == taken.returncode, taken.stderr
    assert "other" in taken.stdout
    assert f"restart {UNIT}" in host.calls[before:]


@pytest.mark.parametrize("unit", [UNIT, "containerd.service"])
def test_a_restart_that_failed_is_made_up_for(host: Host, unit: str) -> None:
    """The next pod does it, though all files are as they should be by then."""
    (host.path / "failing").write_text(f"restart {unit}\n")
    assert 0 != host.node("install").returncode
    (host.path / "failing").unlink()
    before = len(host.calls)

    assert 0 == host.node("install").returncode
    assert f"restart {unit}" in host.calls[before:]


def test_a_configuration_of_containerd_that_is_not_understood(host: Host) -> None:
    """It stays, containerd is not restarted, and the pod fails."""
    (host.path / CONFIG).write_text('disabled_plugins = ["cri"]\n')
    done = host.node("install")

    assert 1 == done.returncode
    assert "is left as it is: it has no version" in done.stderr
    assert 'disabled_plugins = ["cri"]\n' == (host.path / CONFIG).read_text()
    assert "restart containerd.service" not in host.calls


def test_a_node_with_the_package(host: Host) -> None:
    """Two of them on one node would take each other's place."""
    host.program(f"usr/lib/systemd/system/{UNIT}", "")
    done = host.node("install")

    assert 1 == done.returncode
    assert "a package of the node brings" in done.stderr
    assert [] == list((host.path / "opt").iterdir())


GO_UNIT = "[Service]\nExecStart=/usr/bin/cvmfs_snapshotter --log-level=debug\nRestart=always\n"
STATE = "var/lib/containerd-cvmfs-grpc"


@pytest.mark.parametrize("place", ["etc", "run", "usr/local/lib"])
def test_a_node_with_the_go_snapshotter(host: Host, place: str) -> None:
    """Its unit is neither replaced nor restarted, which would send it SIGTERM; advice is given."""
    unit = host.path / place / "systemd/system" / UNIT
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text(GO_UNIT)
    done = host.node("install")

    assert 1 == done.returncode
    assert f"/{place}/systemd/system/{UNIT} does not start /{OPT}/current" in done.stderr
    assert "docs/migration.md" in done.stderr
    assert GO_UNIT == unit.read_text()
    assert [] == host.calls


def test_a_unit_that_is_linked_or_masked(host: Host) -> None:
    """A link is followed on the node, where it leads to another program; a mask is not undone."""
    unit = host.path / "etc/systemd/system" / UNIT
    (host.path / "opt/go.service").write_text(GO_UNIT)
    for target in ("/opt/go.service", "/dev/null"):
        unit.symlink_to(target)
        done = host.node("install")

        assert 1 == done.returncode
        assert "docs/migration.md" in done.stderr
        assert target == str(unit.readlink())
        assert [] == host.calls
        unit.unlink()


@pytest.mark.parametrize("name", ["snapshotter/metadata.db", "import.open.json"])
def test_a_node_with_state_of_the_go_snapshotter(host: Host, name: str) -> None:
    """No unit is touched before the import has come to its end."""
    state = host.path / STATE
    (state / name).parent.mkdir(parents=True)
    (state / name).write_text("")
    if name == "import.open.json":
        (state / "metadata.sqlite").write_text("")
    done = host.node("install")

    assert 1 == done.returncode
    assert "it has not been imported, or not to the end: see docs/migration.md" in done.stderr
    assert [] == host.calls
    assert not (host.path / "etc/systemd/system" / UNIT).exists()
    assert not (host.path / "etc/cvmfs-snapshotter").exists()


def test_the_way_from_the_go_snapshotter(host: Host) -> None:
    """While its unit is there the pod brings all that is needed until pods can start again."""
    unit = host.path / "etc/systemd/system" / UNIT
    unit.write_text(GO_UNIT)
    assert 1 == host.node("install").returncode

    assert f"/{OPT}/current/bin/cvmfs-snapshotter" == str(
        (host.path / "usr/local/bin/cvmfs-snapshotter").readlink()
    )
    assert (host.path / OPT / "current/bin/cvmfs-snapshotter").exists()
    unit.unlink()
    # As the page tells, without what systemd would do.
    unit.write_bytes((host.path / OPT / UNIT).read_bytes())
    done = host.node("install")

    assert 0 == done.returncode, done.stderr
    assert f"restart {UNIT}" in host.calls


def test_a_node_whose_state_was_imported(host: Host) -> None:
    """What the Go program had is there until it is confirmed, and is in nobody's way."""
    host.node("install")
    old = host.path / STATE / "snapshotter/metadata.db"
    old.parent.mkdir()
    old.write_text("")

    assert 0 == host.node("install").returncode


def test_taken_off_where_the_go_snapshotter_is_back(host: Host) -> None:
    """Its unit is not stopped by the name that both have."""
    host.node("install")
    unit = host.path / "etc/systemd/system" / UNIT
    unit.write_text(GO_UNIT)
    before = host.calls
    done = host.node("uninstall", FORCE="yes")

    assert 1 == done.returncode
    assert "docs/migration.md" in done.stderr
    assert GO_UNIT == unit.read_text()
    assert before == host.calls


def test_uninstalled(host: Host) -> None:
    """The node is as it was, but for the state; doing it twice is no error."""
    host.node("install")
    done = host.node("uninstall")

    assert (0, "") == (done.returncode, done.stderr)
    assert KUBEADM == (host.path / CONFIG).read_text()
    assert ["config.toml"] == [path.name for path in (host.path / CONFIG).parent.iterdir()]
    assert [] == [
        path
        for name in ("opt", "etc/systemd/system", "usr/local/bin")
        for path in (host.path / name).iterdir()
    ]
    assert not (host.path / "etc/cvmfs-snapshotter").exists()
    assert (host.path / "var/lib/containerd-cvmfs-grpc").exists()
    assert f"--quiet disable --now {UNIT}" in host.calls
    again = host.node("uninstall")
    assert (0, "node: nothing is installed here\n") == (again.returncode, again.stdout)
    assert 0 == host.node("check").returncode


def test_uninstalled_though_something_may_stand_on_it(host: Host) -> None:
    """Records that cannot be read might name containers: nothing is done without FORCE."""
    host.node("install")
    records = host.path / "var/lib/containerd-cvmfs-grpc/metadata.sqlite"
    host.stop()
    records.write_bytes(b"no database, but as long as one" * 1000)
    before = (host.path / CONFIG).read_text()
    refused = host.node("uninstall")

    assert 1 == refused.returncode
    assert "FORCE=yes" in refused.stderr
    assert before == (host.path / CONFIG).read_text()
    assert 0 == host.node("uninstall", FORCE="yes").returncode
    assert KUBEADM == (host.path / CONFIG).read_text()


def _no_unit(host: Host) -> None:
    host.stop()
    (host.path / "etc/systemd/system" / UNIT).unlink()


def _running_without_unit(host: Host) -> None:
    (host.path / "etc/systemd/system" / UNIT).unlink()


def _no_current(host: Host) -> None:
    (host.path / OPT / "current").unlink()


def _no_tree(host: Host) -> None:
    shutil.rmtree(host.path / OPT)


def _marks_alone(host: Host) -> None:
    _no_unit(host)
    _no_tree(host)


def _rest_of_the_tree(host: Host) -> None:
    host.node("uninstall")
    (host.path / f"{OPT}.gone.7/current").mkdir(parents=True)


@pytest.mark.parametrize(
    "interrupt",
    [_no_unit, _running_without_unit, _no_current, _no_tree, _marks_alone, _rest_of_the_tree],
    ids=lambda value: value.__name__.strip("_"),
)
def test_uninstalling_is_finished(host: Host, interrupt: Callable[[Host], None]) -> None:
    """Whatever of an installation is missing already, the rest of it goes."""
    host.node("install")
    interrupt(host)
    done = host.node("uninstall")

    assert 0 == done.returncode, done.stderr
    assert KUBEADM == (host.path / CONFIG).read_text()
    assert [] == [
        path
        for name in ("opt", "etc/systemd/system", "usr/local/bin")
        for path in (host.path / name).iterdir()
    ]
    assert (
        1
        == subprocess.run(
            ("chroot", host.path, "/usr/bin/systemctl", "is-active", UNIT), check=False
        ).returncode
    )


def test_nothing_of_ours(host: Host) -> None:
    """A unit of the same name, and marks beside the package, are not ours to take away."""
    host.node("install")
    marked = (host.path / CONFIG).read_text()
    _marks_alone(host)
    (host.path / "etc/systemd/system" / UNIT).write_text("[Service]\nExecStart=/usr/bin/go run\n")
    host.program(f"usr/lib/systemd/system/{UNIT}", "")
    calls = len(host.calls)
    done = host.node("uninstall")

    assert (0, "node: nothing is installed here\n") == (done.returncode, done.stdout)
    assert marked == (host.path / CONFIG).read_text()
    assert calls == len(host.calls)


RANCHER = "var/lib/rancher/{}/agent/etc/containerd"
OF_3 = "version = 3\nroot = '/x'\n"
IMPORTS = "imports = ['/{}/config-v3.toml.d/*.toml']\n"


@attrs.frozen
class Rancher:
    """A node of k3s or rke2: the unit that runs, and what its containerd has and gets."""

    kind: str
    unit: str
    program: str
    version: str
    generated: str
    edited: str


@pytest.mark.parametrize(
    "node",
    [
        Rancher(
            *("k3s", "k3s.service", "data/current/bin/containerd", "v1.7.24"),
            *(KUBEADM, "config.toml.tmpl"),
        ),
        Rancher(
            *("k3s", "k3s-agent.service", "data/current/bin/containerd", "v2.1.9"),
            *(OF_3, "config-v3.toml.tmpl"),
        ),
        Rancher(
            *("rke2", "rke2-agent.service", "bin/containerd", "v2.1.9"),
            *(OF_3 + IMPORTS, "config-v3.toml.d/50-cvmfs-snapshotter.toml"),
        ),
    ],
    ids=["k3s-1.7", "k3s-2.1", "rke2-drop-in"],
)
def test_k3s_and_rke2(host: Host, node: Rancher) -> None:
    """Their template or drop-in gets our lines, and the unit that runs is restarted."""
    folder = RANCHER.format(node.kind)
    (host.path / folder).mkdir(parents=True)
    (host.path / folder / "config.toml").write_text(node.generated.format(folder))
    (host.path / "var/lib/containerd").rename(host.path / folder / "../../containerd")
    text = (host.path / "usr/bin/containerd").read_text().replace("v1.7.24", node.version)
    host.program(f"var/lib/rancher/{node.kind}/{node.program}", text)
    host.run_unit(node.unit)
    done = host.node("install")

    assert 0 == done.returncode, done.stderr
    assert "cvmfs-snapshotter" in (host.path / folder / node.edited).read_text()
    assert KUBEADM == (host.path / CONFIG).read_text(), "that is another containerd's"
    assert f"restart {node.unit}" in host.calls

    gone = host.node("uninstall")
    assert 0 == gone.returncode, gone.stderr
    assert ["config.toml"] == [p.name for p in (host.path / folder).iterdir() if p.is_file()]


def test_what_is_named_counts(host: Host) -> None:
    """Variables of the pod say where containerd is."""
    (host.path / CONFIG).rename(host.path / "etc/containerd/other.toml")
    host.run_unit("site-containerd.service")
    named = {"CONTAINERD_CONFIG": "/etc/containerd/other.toml"}
    done = host.node("install", **named, CONTAINERD_SERVICE="site-containerd.service")

    assert 0 == done.returncode, done.stderr
    assert "restart site-containerd.service" in host.calls


def test_what_was_named_is_remembered(host: Host) -> None:
    """The pod that uninstalls needs no variables to undo all that was done."""
    other = host.path / "etc/containerd/other.toml"
    other.write_text(KUBEADM)
    host.run_unit("site-containerd.service")
    named = {"CONTAINERD_CONFIG": "/etc/containerd/other.toml"}
    host.node("install", **named, CONTAINERD_SERVICE="site-containerd.service")
    assert "cvmfs-snapshotter" in other.read_text()
    host.node("install")
    assert "cvmfs-snapshotter" in (host.path / CONFIG).read_text()
    before = len(host.calls)
    done = host.node("uninstall")

    assert (0, "") == (done.returncode, done.stderr)
    assert [KUBEADM, KUBEADM] == [other.read_text(), (host.path / CONFIG).read_text()]
    assert ["restart site-containerd.service", "restart containerd.service"] == [
        call for call in host.calls[before:] if call.startswith("restart")
    ]


def test_containerd_still_names_the_daemon(host: Host) -> None:
    """A program took the marks away: the daemon stays, since no pod would start without it."""
    host.node("install")
    lines = (host.path / CONFIG).read_text().splitlines(keepends=True)
    (host.path / CONFIG).write_text("".join(one for one in lines if not one.startswith("#")))
    refused = host.node("uninstall")

    assert 1 == refused.returncode
    assert "outside of our marks" in refused.stderr
    assert (host.path / OPT / "current").exists()
    assert f"--quiet disable --now {UNIT}" not in host.calls


@pytest.mark.parametrize(
    ("dump", "why"),
    [
        ("echo ' snapshotter = \"cvmfs-snapshotter\"'", "containerd still takes its snapshots"),
        ("exit 1", "does not say what it makes of /etc/containerd/config.toml"),
    ],
)
def test_containerd_does_not_let_go(host: Host, dump: str, why: str) -> None:
    """What it says itself counts, because any file that it imports may name the daemon."""
    host.node("install")
    program = host.path / "usr/bin/containerd"
    program.write_text(program.read_text().replace('cat "$2"', dump))
    refused = host.node("uninstall")

    assert 1 == refused.returncode
    assert why in refused.stderr
    assert (host.path / OPT / "current").exists()
    assert f"--quiet disable --now {UNIT}" not in host.calls


def test_no_containerd_any_more(host: Host) -> None:
    """There is nobody to ask, and nobody who would miss the daemon."""
    host.node("install")
    (host.path / "usr/bin/containerd").unlink()
    done = host.node("uninstall")

    assert (0, "") == (done.returncode, done.stderr)
    assert KUBEADM == (host.path / CONFIG).read_text()


def test_no_containerd_runs(host: Host) -> None:
    """It is told, and no configuration is changed."""
    (host.path / "pids/containerd.service").unlink()
    done = host.node("install")

    assert 1 == done.returncode
    assert "none of these runs here: containerd.service" in done.stderr
    assert KUBEADM == (host.path / CONFIG).read_text()


def test_checked_before_it_was_done(host: Host) -> None:
    """The pod is not ready; nor is it when the daemon does not answer any more."""
    assert 1 == host.node("check").returncode
    host.node("install")
    host.stop()
    assert 0 != host.node("check").returncode


def test_no_such_verb(host: Host) -> None:
    """The usage is told."""
    assert 2 == host.node("instal").returncode
