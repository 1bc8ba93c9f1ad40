"""The daemon as a process of its own, on directories and a socket of its own."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.logs.logger import open_log
from cvmfs_snapshotter.domain.errors import AlreadyExistsError, NotFoundError
from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.domain.snapshot import Kind
from cvmfs_snapshotter.entrypoints.config import default_config
from cvmfs_snapshotter.entrypoints.daemon import run_daemon
from cvmfs_snapshotter.entrypoints.errors import StartError
from tests.contract.wire import WireSnapshotter
from tests.harness.layers import Layer, file, layer
from tests.harness.processes import kill_and_wait, processes, wait_until
from tests.harness.repository import Repository

PROGRAMS = Path(sys.executable).parent
OURS = "cvmfs-snapshotter"
GO = "cvmfs_snapshotter"

SOURCE = """\
[[source]]
name = "tests"
kind = "directory"
path = "{path}"
"""

HELLO = layer(file("hello", "hello\n"))
OTHER = layer(file("other", "other\n"))


@attrs.define
class Running:
    """A daemon that was started.

    Attributes:
        process: of the daemon.
        log: file with its standard error.
        client: asks it, through its socket.
    """

    process: subprocess.Popen[bytes]
    log: Path
    client: WireSnapshotter
    _seen: set[int] = attrs.field(factory=set)

    def text(self) -> str:
        """Give its log."""
        return self.log.read_text()

    def lines(self, message: str) -> list[dict[str, Any]]:
        """Give its lines of one message; a line that is no JSON object fails the test."""
        found = [json.loads(line) for line in self.text().splitlines()]
        return [line for line in found if line["msg"] == message]

    def wait_for(self, message: str) -> dict[str, Any]:
        """Wait for a line and give it."""

        def look() -> list[dict[str, Any]]:
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended:\n{self.text()}")
            # The last line may be half written.
            return self.lines(message) if self.text().endswith("\n") else []

        return wait_until(message, look)[0]

    def worker(self) -> int:
        """Give its one probe process, which has answered and waits."""
        self.wait_for("source is there")
        (found,) = (
            pid
            for pid, command in processes()
            if WORKER_MODULE in command and self.process.pid == _parent(pid)
        )
        self._seen.add(found)
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal and give its exit status."""
        self.process.send_signal(number)
        return self.process.wait(30.0)

    def clear(self) -> None:
        """Kill it and the probe processes that were stopped, and close the connection."""
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30.0)
        kill_and_wait(sorted(self._seen))


@attrs.define
class Place:
    """Where daemons are started: a directory with a source, a state directory and a socket.

    Attributes:
        base: the directory; everything else is in it.
        repository: the source.
    """

    base: Path
    repository: Repository
    started: list[Running] = attrs.field(factory=list)

    @property
    def root(self) -> Path:
        """Give the state directory."""
        return self.base / "root"

    @property
    def socket(self) -> Path:
        """Give the socket."""
        return self.base / "run" / "s"

    @property
    def config(self) -> Path:
        """Give the configuration file."""
        return self.base / "config.toml"

    @property
    def database(self) -> Path:
        """Give the database."""
        return self.root / "metadata.sqlite"

    def configure(self, more: str = "") -> None:
        """Write the configuration, with further lines of its source."""
        self.config.write_text(SOURCE.format(path=self.repository.path) + more)

    def flags(self, **other: object) -> list[str]:
        """Give the usual flags, or others in their place."""
        usual = {"root": self.root, "address": self.socket, "config": self.config}
        return [f"--{name}={value}" for name, value in {**usual, **other}.items()]

    def start(self, *arguments: str, program: str = OURS) -> Running:
        """Start a daemon and wait until it serves.

        Args:
            arguments: all of them; the usual ones if there are none.
        """
        log = self.base / f"log-{len(self.started)}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [PROGRAMS / program, *(arguments or ("run", *self.flags()))],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.base,
            )
        # A connection that is made before the socket is there would wait before its next try.
        running = Running(process, log, WireSnapshotter(self.socket))
        self.started.append(running)
        running.wait_for("serving")
        return running

    def refused(self, *arguments: str, status: int = 1) -> str:
        """Start a daemon that does not start, and give what it says.

        Args:
            arguments: all of them; the usual ones if there are none.
            status: its exit status.
        """
        done = subprocess.run(
            [PROGRAMS / OURS, *(arguments or ("run", *self.flags()))],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.base,
            timeout=30.0,
            check=False,
        )
        assert status == done.returncode
        assert "" == done.stdout
        assert "Traceback" not in done.stderr
        assert all(line.startswith("cvmfs-snapshotter: ") for line in done.stderr.splitlines())
        return done.stderr.replace("cvmfs-snapshotter: ", "")

    def link_of(self, identifier: int) -> str:
        """Tell where the link of a snapshot leads to."""
        return str((self.root / "l" / str(identifier)).readlink())


@pytest.fixture
def place() -> Iterator[Place]:
    """Give a place; whatever was started there is killed after the test."""
    base = Path(tempfile.mkdtemp(prefix="cvd-", dir="/tmp"))  # short, as a socket's path must be
    made = Place(base, Repository.make(base / "source"))
    made.configure("lookup_deadline = 1\nkeep_mounted = false\n")
    yield made
    for running in made.started:
        running.clear()
    shutil.rmtree(base)


def _parent(pid: int) -> int:
    """Give the parent of a process, 0 if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def _state(pid: int) -> str:
    """Give the kernel's letter for the state of a process; X if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "X"
    return text.rpartition(")")[2].split()[0]


def _stop(pid: int) -> None:
    """Make a process stand still."""
    os.kill(pid, signal.SIGSTOP)
    wait_until("it stands still", lambda: "T" == _state(pid))


def _has_request(pid: int) -> bool:
    """Tell whether bytes wait on the standard input of a process."""
    descriptor = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        waiting = fcntl.ioctl(descriptor, termios.FIONREAD, struct.pack("i", 0))
    finally:
        os.close(descriptor)
    return bool(struct.unpack("i", waiting)[0])


def _mode(path: Path) -> int:
    """Give the permission bits of a file."""
    return stat.S_IMODE(path.lstat().st_mode)


def _ask(wanted: Layer) -> dict[str, str]:
    """Give the labels with which containerd asks for a bottom layer."""
    return {TARGET: wanted.diff_id, LAYER_DIGEST: wanted.digest}


def _identifier(mounts: tuple[Mount, ...]) -> int:
    """Give the identifier of an active snapshot without a parent."""
    (mount,) = mounts
    return int(Path(mount.source).parent.name)


def _tree(top: Path) -> dict[str, tuple[int, str]]:
    """Describe everything below a directory, locks apart: mode and content by path."""
    found = {}
    for path in sorted(path for path in top.rglob("*") if path.name != "lock"):
        data = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(top))] = path.lstat().st_mode, hashlib.sha256(data).hexdigest()
    return found


class Call:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.result: object = None
        self.error: Exception | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._call()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def wait(self) -> object:
        """Give what the call returned."""
        self._thread.join(30.0)
        assert self.error is None
        return self.result

    def fail(self) -> Exception:
        """Give what the call raised."""
        self._thread.join(30.0)
        assert self.error is not None
        return self.error


def test_serves(place: Place) -> None:
    """A daemon on nothing makes all that it needs, and answers."""
    daemon = place.start()

    daemon.client.prepare("a", "", {})
    assert Kind.ACTIVE is daemon.client.stat("a").kind
    line = daemon.wait_for("serving")
    assert (str(place.socket), str(place.root), ["tests"]) == (
        line["address"],
        line["root"],
        line["sources"],
    )


def test_modes(place: Place) -> None:
    """Nothing that the daemon makes is open to anybody but root."""
    place.start()

    assert stat.S_ISSOCK(place.socket.lstat().st_mode)
    assert (0o600, 0o700) == (_mode(place.socket), _mode(place.socket.parent))
    assert 0o700 == _mode(place.root)
    assert {0o600} == {_mode(path) for path in place.root.iterdir() if path.is_file()}
    assert {0o700} == {_mode(path) for path in place.root.iterdir() if path.is_dir()}
    assert 0o600 == _mode(place.socket.with_name("s.lock"))


def test_root_becomes_private(place: Place) -> None:
    """A state directory that others can read is closed to them."""
    place.root.mkdir(mode=0o755)
    place.start()

    assert 0o700 == _mode(place.root)


@pytest.mark.parametrize("dashes", ["-", "--"])
@pytest.mark.parametrize("joined", [False, True])
def test_flags(place: Place, dashes: str, joined: bool) -> None:
    """Flags have one dash or two, and their value behind an equals sign or as the next word."""
    pairs = {
        "root": str(place.root),
        "address": str(place.socket),
        "config": str(place.config),
        "log-level": "DEBUG",
    }
    arguments = [
        word
        for name, value in pairs.items()
        for word in ([f"{dashes}{name}={value}"] if joined else [f"{dashes}{name}", value])
    ]
    daemon = place.start("run", *arguments)
    daemon.client.prepare("a", "", {})

    assert "Prepare" == daemon.wait_for("call")["method"]


@pytest.mark.parametrize("command", [[], ["run"]])
def test_name_of_the_go_program(place: Place, command: list[str]) -> None:
    """Under the Go program's name the daemon runs without being told to, as in existing units."""
    flags = [flag[1:] for flag in place.flags(address=f"unix://{place.socket}")]
    daemon = place.start(*command, *flags, program=GO)
    daemon.client.prepare("a", "", {})

    assert "a" == daemon.client.stat("a").name


def test_one_daemon_for_a_root(place: Place) -> None:
    """A second daemon on a state directory is refused and told who has it."""
    daemon = place.start()
    daemon.client.prepare("a", "", {})

    second = place.base / "second" / "s"
    message = place.refused("run", *place.flags(address=second))
    assert (
        f"the state directory {place.root} is in use by another daemon "
        f"(process {daemon.process.pid}): {place.root}/lock\n"
    ) == message
    assert not second.parent.exists()
    assert "a" == daemon.client.stat("a").name


def test_one_daemon_for_a_socket(place: Place) -> None:
    """A second daemon on a socket is refused, and the first one goes on serving there."""
    daemon = place.start()
    daemon.client.prepare("a", "", {})
    before = place.socket.stat().st_ino

    message = place.refused("run", *place.flags(root=place.base / "second"))
    assert (
        f"the socket {place.socket} is in use by another daemon "
        f"(process {daemon.process.pid}): {place.socket}.lock\n"
    ) == message
    assert before == place.socket.stat().st_ino
    assert not (place.base / "second").exists()
    with closing(WireSnapshotter(place.socket)) as another:
        assert "a" == another.stat("a").name


def test_stale_socket(place: Place) -> None:
    """A socket on which nobody serves is replaced."""
    place.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place.socket))
    before = place.socket.stat().st_ctime_ns
    daemon = place.start()

    assert [] == list(daemon.client.list([]))
    assert before != place.socket.stat().st_ctime_ns
    assert 0o600 == _mode(place.socket)


def test_living_foreign_socket(place: Place) -> None:
    """A socket on which somebody else serves is neither replaced nor removed."""
    place.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place.socket))
        other.listen()
        message = place.refused()

        assert f"somebody serves on {place.socket} already" in message
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(place.socket))


def _regular(path: Path) -> None:
    path.write_text("precious")


def _link(path: Path) -> None:
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("make", [_regular, Path.mkdir, os.mkfifo, _link])
def test_no_socket(place: Place, make: Callable[[Path], object]) -> None:
    """Whatever is no socket is left alone where the socket should be."""
    place.socket.parent.mkdir(mode=0o700)
    make(place.socket)
    before = place.socket.lstat()

    assert f"{place.socket} is not a socket; it is left alone" in place.refused()
    assert not place.root.exists()
    assert [place.socket] == list(place.socket.parent.iterdir())
    after = place.socket.lstat()
    assert (before.st_ino, before.st_mode, before.st_size) == (
        after.st_ino,
        after.st_mode,
        after.st_size,
    )


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703])
def test_writable_root(place: Place, mode: int) -> None:
    """A state directory that everybody can write to is refused, sticky or not."""
    place.root.mkdir()
    place.root.chmod(mode)

    message = place.refused()
    assert f"the state directory {place.root} cannot be relied on: everybody can" in message
    assert (mode, []) == (_mode(place.root), list(place.root.iterdir()))


def test_writable_socket_directory(place: Place) -> None:
    """A socket's directory that everybody can write to is refused."""
    place.socket.parent.mkdir()
    place.socket.parent.chmod(0o1777)

    message = place.refused()
    assert f"the directory of the socket {place.socket.parent} cannot be relied on" in message
    assert "everybody can write to it (mode 1777)" in message
    assert [] == list(place.socket.parent.iterdir())


def test_root_of_somebody_else(place: Place) -> None:
    """A state directory that belongs to another user is refused."""
    place.root.mkdir(mode=0o700)
    os.chown(place.root, 65534, 65534)

    assert "belongs to user 65534, not to us" in place.refused()


@pytest.mark.parametrize("character", [":", ",", "\\", "\n", "\t"])
def test_root_with_a_meaning(place: Place, character: str) -> None:
    """A state directory whose path could not stand in mount options is refused."""
    root = place.base / f"a{character}b"

    assert "the state directory" in place.refused("run", *place.flags(root=root))
    assert not root.exists()


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("root", "root", "the state directory must be an absolute path, not 'root'"),
        ("root", "./root", "the state directory must be an absolute path, not './root'"),
        ("root", "", "the state directory must be an absolute path, not ''"),
        ("root", "//", "the state directory cannot be the root directory"),
        ("address", "run/s", "the address must be an absolute path, not 'run/s'"),
        ("address", "", "the address must be an absolute path, not ''"),
        ("address", "unix:run/s", "the address must be an absolute path, not 'run/s'"),
        ("address", f"/tmp/{'s' * 103}", "has 108 bytes; the path of a socket has at most 107"),
    ],
)
def test_paths(place: Place, flag: str, value: str, expected: str) -> None:
    """A path that cannot be meant is refused before anything is made."""
    before = sorted(place.base.iterdir())

    assert expected in place.refused("run", *place.flags(**{flag: value}))
    assert before == sorted(place.base.iterdir())


def test_longest_address(place: Place) -> None:
    """A path of the greatest length that a socket can have is served."""
    room = 107 - len(f"{place.base}/") - len("/s")
    directory = place.base / ("d" * room)
    address = directory / "s"
    assert 107 == len(str(address))
    place.start("run", *place.flags(address=address))

    with closing(WireSnapshotter(address)) as client:
        assert [] == list(client.list([]))


def _go_state(root: Path) -> None:
    """Make a state directory like the Go program's."""
    files = root / "snapshotter" / "snapshots" / "1" / "fs"
    files.mkdir(parents=True)
    (files / "file").write_text("of a container")
    (root / "snapshotter" / "metadata.db").write_bytes(os.urandom(32_768))


def test_state_of_the_go_program(place: Place) -> None:
    """The Go program's state is refused with both ways on, and used by --fresh untouched."""
    _go_state(place.root)
    before = _tree(place.root / "snapshotter")

    message = place.refused()
    assert "snapshotter/metadata.db" in message
    assert "import" in message
    assert "--fresh" in message
    assert not place.database.exists()
    assert before == _tree(place.root / "snapshotter")

    daemon = place.start("run", *place.flags(), "-fresh")
    daemon.client.prepare("a", "", {})
    daemon.client.cleanup()
    assert 0 == daemon.end()
    again = place.start()
    assert "a" == again.client.stat("a").name
    assert 0 == again.end()
    assert before == _tree(place.root / "snapshotter")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = ", ["not TOML"]),
        (
            'repositry = "x.y"\n[[source]]\nname = "a b"\nkind = "directory"\n[[source]]\n',
            ["repositry", "source[0].name", "source[0].path", "source[1].name", "source[1].repos"],
        ),
    ],
)
def test_bad_configuration(place: Place, text: str, expected: list[str]) -> None:
    """A configuration that cannot be meant ends the start with 2: all is named, nothing made."""
    place.config.write_text(text)
    before = sorted(place.base.iterdir())

    lines = place.refused(status=2).splitlines()
    assert len(expected) == len(lines)
    for line, word in zip(lines, expected, strict=True):
        assert line.startswith(f"{place.config}: {word}")
    assert before == sorted(place.base.iterdir())


def test_missing_configuration(place: Place) -> None:
    """A configuration file that was named and is not there is not replaced by the defaults."""
    place.config.unlink()

    assert f"{place.config}: No such file or directory\n" == place.refused(status=2)


def _make_database(place: Place) -> None:
    """Leave a database as a daemon leaves it."""
    daemon = place.start()
    daemon.client.prepare("a", "", {})
    assert 0 == daemon.end()


def _no_database(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def _damaged_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 2000] = b"\xff" * 2000
    path.write_bytes(data)


def _cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [_no_database, _damaged_page, _cut_short])
def test_damaged_database(place: Place, damage: Callable[[Path], None]) -> None:
    """A database that cannot be read ends the start; no byte of it is changed."""
    _make_database(place)
    damage(place.database)
    before = _tree(place.root)

    message = place.refused()
    assert f"{place.database} cannot be read as a database of this program" in message
    assert "It was left as it is. There is no backup of it" in message
    assert before == _tree(place.root)


def test_newer_schema(place: Place) -> None:
    """A database that a newer release wrote ends the start; no byte of it is changed."""
    _make_database(place)
    with closing(sqlite3.connect(place.database)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = _tree(place.root)

    message = place.refused()
    assert f"{place.database} has schema '9999', which a newer release made" in message
    assert "It was left as it is" in message
    assert before == _tree(place.root)


def test_only_root(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody but root can run the daemon; it says so before it makes anything."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with (place.base / "log").open("w") as stream:
        log = open_log(20, stream)
        with pytest.raises(StartError, match="must run as root"):
            run_daemon(str(place.root), str(place.socket), default_config(), log, fresh=False)

    assert not place.root.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_snapshots_outlive_the_daemon(place: Place, number: signal.Signals) -> None:
    """However the daemon ends, the next one has every snapshot with its files."""
    place.repository.publish(HELLO)
    daemon = place.start()
    committed = _identifier(daemon.client.prepare("c", "", {}))
    daemon.client.commit("committed", "c", {"a": "b"})
    active = _identifier(daemon.client.prepare("active", "", {"d": "e"}))
    (place.root / "snapshots" / str(active) / "fs" / "file").write_text("precious")
    view = daemon.client.view("view", "committed", {})
    with pytest.raises(AlreadyExistsError):
        daemon.client.prepare("r", "", _ask(HELLO))
    before = sorted(s for batch in daemon.client.list([]) for s in map(_described, batch))

    assert (-number if number is signal.SIGKILL else 0) == daemon.end(number)
    assert (number is signal.SIGKILL) == place.socket.exists()
    again = place.start()

    assert before == sorted(s for batch in again.client.list([]) for s in map(_described, batch))
    assert 4 == len(before)
    snapshots = place.root / "snapshots"
    assert "precious" == (snapshots / str(active) / "fs" / "file").read_text()
    assert (snapshots / str(active) / "work").is_dir()
    assert (snapshots / str(committed) / "fs").is_dir()
    assert view == again.client.mounts("view")
    assert active == _identifier(again.client.mounts("active"))


def _described(snapshot: Any) -> tuple[object, ...]:
    """Give all that containerd learns of a snapshot, as something that can be sorted."""
    return (
        snapshot.name,
        snapshot.parent,
        snapshot.kind.value,
        snapshot.created_at,
        snapshot.updated_at,
        sorted(snapshot.labels.items()),
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_calls_in_flight_finish(place: Place, number: signal.Signals) -> None:
    """A call that waits for a source when the daemon is told to stop gets its answer."""
    place.repository.publish(HELLO)
    daemon = place.start()
    worker = daemon.worker()
    _stop(worker)
    call = Call(lambda: daemon.client.prepare("a", "", _ask(HELLO)))
    wait_until("the source is asked", lambda: _has_request(worker))

    assert 0 == daemon.end(number)
    assert isinstance(call.wait(), tuple)
    (decision,) = daemon.lines("layer decision")
    assert ("miss", "slow") == (decision["outcome"], decision["reason"])
    assert daemon.lines("stopping: calls in flight finish, nothing is deleted")
    assert Kind.ACTIVE is place.start().client.stat("a").kind


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal(place: Place, number: signal.Signals) -> None:
    """A second signal ends the daemon at once; what was not answered has not happened."""
    place.configure("lookup_deadline = 8\nkeep_mounted = false\n")
    place.repository.publish(HELLO)
    daemon = place.start()
    worker = daemon.worker()
    _stop(worker)
    call = Call(lambda: daemon.client.prepare("a", "", _ask(HELLO)))
    wait_until("the source is asked", lambda: _has_request(worker))

    daemon.process.send_signal(signal.SIGTERM)
    daemon.wait_for("stopping: calls in flight finish, nothing is deleted")
    started = time.monotonic()
    assert 128 + number == daemon.end(number)
    assert 5.0 > time.monotonic() - started
    call.fail()
    with pytest.raises(NotFoundError):
        place.start().client.stat("a")


def test_killed_with_a_hanging_worker(place: Place) -> None:
    """A probe process that outlives a killed daemon does not keep the next one from serving."""
    daemon = place.start()
    daemon.client.prepare("a", "", {})
    worker = daemon.worker()
    _stop(worker)
    assert -signal.SIGKILL == daemon.end(signal.SIGKILL)

    started = time.monotonic()
    again = place.start()
    assert "a" == again.client.stat("a").name
    assert 10.0 > time.monotonic() - started
    assert "T" == _state(worker)


def test_workers_end_with_the_daemon(place: Place) -> None:
    """A probe process does not outlive the daemon, also one that was killed."""
    daemon = place.start()
    worker = daemon.worker()
    daemon.end(signal.SIGKILL)

    wait_until("the probe process has ended", lambda: _state(worker) in "ZX")


def test_log(place: Place) -> None:
    """The log is JSON, with one line for each decision that scripts for the Go program find."""
    place.repository.publish(HELLO)
    daemon = place.start()
    with pytest.raises(AlreadyExistsError):
        daemon.client.prepare("hit", "", _ask(HELLO))
    daemon.client.prepare("absent", "", _ask(OTHER))
    daemon.client.prepare("blind", "", {TARGET: HELLO.diff_id})
    daemon.client.prepare("local", "", {})
    assert 0 == daemon.end()

    assert [
        ("hit", "hit", "hit", "true", "tests"),
        ("absent", "miss", "absent", "false", "tests"),
        ("blind", "miss", "no-digest-label", "false", ""),
    ] == [
        (d["key"], d["outcome"], d["reason"], d["remote-snapshot-prepared"], d["source"])
        for d in daemon.lines("layer decision")
    ]
    assert 1 == daemon.text().count('"remote-snapshot-prepared":"true"')
    assert 2 == daemon.text().count('"remote-snapshot-prepared":"false"')
    assert 1 == len(daemon.lines("layer digests are missing"))


@pytest.mark.parametrize("delay", [0.0, 0.0002, 0.0005, 0.001, 0.002])
def test_stopped_as_soon_as_it_serves(place: Place, delay: float) -> None:
    """A signal that comes at the very moment when the daemon begins to wait for one is heard."""
    daemon = place.start()
    time.sleep(delay)

    assert 0 == daemon.end()


def test_source_that_is_not_there(place: Place) -> None:
    """A daemon serves without its source, and says that the source is not there."""
    place.repository.path.rename(place.base / "away")
    daemon = place.start()

    line = daemon.wait_for("source is not there; its layers are downloaded until it is")
    assert ("warning", "tests", "not-mounted") == (line["level"], line["source"], line["reason"])
    daemon.client.prepare("a", "", _ask(HELLO))
    assert ["not-mounted"] == [d["reason"] for d in daemon.lines("layer decision")]


def _orphan(place: Place, identifier: int, *, empty: bool = False) -> Path:
    """Make a directory of a snapshot by hand."""
    files = place.root / "snapshots" / str(identifier) / "fs"
    files.mkdir(parents=True)
    if not empty:
        (files / "file").write_text("left")
    return files.parent


def test_directory_without_a_record(place: Place) -> None:
    """What a crash left is found at start, stays until the next Cleanup, and goes then."""
    daemon = place.start()
    given = _identifier(daemon.client.prepare("gone", "", {}))
    daemon.client.remove("gone")
    daemon.client.cleanup()
    kept = _identifier(daemon.client.prepare("kept", "", {}))
    assert 0 == daemon.end()
    orphan = _orphan(place, given, empty=True)

    again = place.start()
    (line,) = again.lines(
        "directories without a record, left by a crash; the next Cleanup deletes them"
    )
    assert ("info", 1, [given]) == (line["level"], line["count"], line["snapshots"])
    assert orphan.exists()
    again.client.cleanup()
    assert not orphan.exists()
    assert (place.root / "snapshots" / str(kept)).exists()


@pytest.mark.parametrize("identifier", [2, 5000])
def test_directory_of_a_newer_database(place: Place, identifier: int) -> None:
    """One with files, or that the database never gave, is reported and outlives a Cleanup."""
    daemon = place.start()
    daemon.client.prepare("a", "", {})
    assert 0 == daemon.end()
    foreign = _orphan(place, identifier)

    again = place.start()
    again.client.cleanup()
    (line,) = again.lines(
        "directories of which this database knows nothing: it is older than they are; they are "
        "left alone"
    )
    assert ("error", 1, [identifier]) == (line["level"], line["count"], line["snapshots"])
    assert "left" == (foreign / "fs" / "file").read_text()


def test_identifiers_above_unknown_directories(place: Place) -> None:
    """A new snapshot never gets a directory that is there already."""
    daemon = place.start()
    assert 0 == daemon.end()
    _orphan(place, 5000)

    assert 5000 < _identifier(place.start().client.prepare("b", "", {}))


def test_moved_source(place: Place) -> None:
    """When containerd sees the source elsewhere, links that there are follow at start.

    Mounts of containers from before name the layers where they are now. A comma in the path of the
    source keeps it out of the options of mounts, so that links are made.
    """
    place.repository.publish(HELLO, OTHER)
    place.configure('host_path = "/be,fore"\n')
    daemon = place.start()
    for wanted in (HELLO, OTHER):
        with pytest.raises(AlreadyExistsError):
            daemon.client.prepare(wanted.digest, "", _ask(wanted))
    remote = [s.name for batch in daemon.client.list([]) for s in batch]
    assert ["s"] == [path.name for path in (place.root / "l").iterdir()]
    for name in remote:
        mounts = daemon.client.prepare(f"on {name}", name, {})
        assert mounts[0].options[-1].startswith(f"lowerdir={place.root}/l/s:{place.root}/l/")
    assert _links(place, [1, 2]) == _expected("/be,fore", HELLO, OTHER)
    assert 0 == daemon.end()
    place.configure('host_path = "/after"\n')

    again = place.start()
    assert _expected("/after", HELLO, OTHER) == _links(place, [1, 2])
    for name, path in zip(sorted(remote), _expected("/after", *_by_diff_id()), strict=True):
        lowers = f"lowerdir={place.root}/l/s:{path}"
        assert lowers == again.client.mounts(f"on {name}")[0].options[-1]
    (line,) = again.lines("source moved")
    assert ("tests", "/be,fore", "/after", 2) == (
        line["source"],
        line["before"],
        line["after"],
        line["links"],
    )


def _by_diff_id() -> list[Layer]:
    return sorted((HELLO, OTHER), key=lambda layer: layer.diff_id)


def test_a_chain_that_is_too_long_for_direct_names(place: Place) -> None:
    """Below the bound no link is made; above it every lower directory has one, also later."""
    daemon, names = place.start(), [""]
    mounts = daemon.client.prepare("k", "", {})
    while f"lowerdir={place.root}/l/" not in mounts[0].options[-1]:
        assert ["s"] == [path.name for path in (place.root / "l").iterdir()]
        names.append(str(len(names)))
        daemon.client.commit(names[-1], "k", {}, "")
        mounts = daemon.client.prepare("k", names[-1], {})
    links = [Path(path) for path in mounts[0].options[-1].removeprefix("lowerdir=").split(":")]

    assert len(names) - 1 == len(links)
    assert len(",".join(mounts[0].options)) < 3584
    for link in links:
        assert f"../snapshots/{link.name}/fs" == str(link.readlink())
        link.unlink()
    assert 0 == daemon.end()
    again = place.start()
    assert mounts == again.client.mounts("k")
    assert all(link.is_dir() for link in links)
    again.client.remove("k")
    for name in reversed(names[1:]):
        again.client.remove(name)
    again.client.cleanup()
    assert ["s"] == [path.name for path in (place.root / "l").iterdir()]


def _links(place: Place, identifiers: list[int]) -> list[str]:
    """Tell where the links of snapshots lead to."""
    return [place.link_of(identifier) for identifier in identifiers]


def _expected(host: str, *layers: Layer) -> list[str]:
    """Tell where layers lie below a source."""
    return [f"{host}/.layers/{each.hexadecimal[:2]}/{each.hexadecimal}/layerfs" for each in layers]
