"""Circuits, trials and holding in front of a file system that fails as CernVM-FS does."""

import errno
import os
import subprocess
import time
from collections.abc import Iterator

import attrs
import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import LogCapture

from cvmfs_snapshotter.adapters.clock import SystemClock
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.memory import MemoryEvents
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.domain.circuit import FAILURES, State
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.events import CircuitClosed, CircuitOpened
from cvmfs_snapshotter.domain.layer import Digest, Hit, Reason
from cvmfs_snapshotter.domain.layer import Layer as Published
from cvmfs_snapshotter.entrypoints.compose_sources import Tended, tend
from cvmfs_snapshotter.entrypoints.fanout import FanOut, WakeOnOpening
from tests.contract.wire import WireSnapshotter
from tests.faults.stand import ABSENT, LAYERS, files, place
from tests.harness.daemon import PROGRAM, Daemon
from tests.harness.fuse.faults import OUT_OF_REACH, attributes_denied, fails, hangs
from tests.harness.fuse.file_system import FileSystem
from tests.harness.layers import Layer
from tests.harness.processes import wait_until

LIMIT = 1.0
"""Seconds for a look-up here, so that what hangs does not take long."""


@attrs.frozen
class Stand:
    """A source on the file system, and what looks after it.

    Attributes:
        cvmfs: the file system.
        tended: the source.
        events: what was heard of its circuit.
    """

    cvmfs: FileSystem
    tended: Tended
    events: MemoryEvents

    def look(self, layer: Layer) -> Reason:
        """Look a layer up, and give the reason of the outcome."""
        until = time.monotonic() + self.tended.sources.patience
        outcome = self.tended.sources.look(Published("tests", Digest(layer.hexadecimal)), until)
        return Reason.HIT if isinstance(outcome, Hit) else outcome.reason

    @property
    def state(self) -> State:
        """The state of the circuit."""
        return self.tended.breakers.standing("tests").circuit.state

    @property
    def tries(self) -> int:
        """How often it was tried since it opened."""
        return self.tended.breakers.standing("tests").circuit.tries

    @property
    def held(self) -> bool:
        """Whether the root is held."""
        return self.tended.tenders["tests"].holder.held

    def heard(self) -> list[type]:
        """Give the kinds of events so far."""
        return [type(event) for event in self.events.recorded]

    def wait_for(self, state: State) -> None:
        """Wait until the circuit is in a state."""
        wait_until(f"the circuit is {state.value}", lambda: state is self.state)

    def wait_held(self) -> None:
        """Wait until the root is held."""
        wait_until("the root is held", lambda: self.held)


@pytest.fixture
def stand(cvmfs: FileSystem) -> Iterator[Stand]:
    """Give a source that is well, held, and looked after."""
    events = MemoryEvents()
    pool = ProbePool(worker_command(WORKER_MODULE))
    settings = SourceSettings(
        "tests", "cvmfs", cvmfs.repository, str(cvmfs.point), lookup_deadline=LIMIT
    )
    logger = structlog.wrap_logger(None, processors=[LogCapture()])
    listeners = FanOut((events, WakeOnOpening(lambda name: tended.tenders[name].wake())))
    tended = tend([settings], pool, SystemClock(), listeners, logger)
    tended.start()
    made = Stand(cvmfs, tended, events)
    made.wait_held()
    yield made
    cvmfs.unmount()
    tended.stop(10.0)
    pool.close()


def test_servers_out_of_reach(stand: Stand) -> None:
    """Open until the servers are back, though root and some layers are answered from memory."""
    cached, cold, colder, *_ = LAYERS
    assert Reason.HIT is stand.look(cached)
    stand.cvmfs.breaks(OUT_OF_REACH)
    stand.cvmfs.forget()
    assert Reason.HIT is stand.look(cached)
    assert [Reason.INPUT_OUTPUT] * 2 == [stand.look(cold), stand.look(colder)]
    assert Reason.CIRCUIT is stand.look(cached)
    assert stand.cvmfs.repository == os.getxattr(stand.cvmfs.point, "user.fqrn").decode()

    wait_until("it was tried twice", lambda: stand.tries >= 2)
    assert [CircuitOpened] == stand.heard()
    assert stand.held
    stand.cvmfs.heals()
    stand.wait_for(State.CLOSED)
    assert [Reason.HIT] * 3 == [stand.look(each) for each in (cached, cold, colder)]
    assert [CircuitOpened, CircuitClosed] == stand.heard()


def test_same_layer_fails_twice(stand: Stand) -> None:
    """One layer that fails is enough, and does not close it while servers are out of reach."""
    stand.cvmfs.breaks(OUT_OF_REACH)
    assert [Reason.INPUT_OUTPUT] * 2 == [stand.look(LAYERS[0]), stand.look(LAYERS[0])]
    wait_until("it was tried", lambda: stand.tries >= 2)

    assert [CircuitOpened] == stand.heard()
    stand.cvmfs.heals()
    stand.wait_for(State.CLOSED)


def test_dead_client(stand: Stand) -> None:
    """A client that died never gives a hit, though the kernel still answers stat for it."""
    layer = LAYERS[0]
    assert Reason.HIT is stand.look(layer)
    files(stand.cvmfs, layer).stat()
    stand.cvmfs.dies()
    files(stand.cvmfs, layer).stat()

    assert [Reason.DISCONNECTED] * FAILURES == [stand.look(layer) for _ in range(FAILURES)]
    assert Reason.CIRCUIT is stand.look(layer)
    wait_until("the dead client is let go", lambda: not stand.held)
    # Without --lazy, as the operator and an automounter do it.
    subprocess.run(["umount", stand.cvmfs.point], check=True)
    stand.cvmfs.mount()
    stand.wait_for(State.CLOSED)
    assert Reason.HIT is stand.look(layer)
    stand.wait_held()


def test_nothing_mounted(stand: Stand) -> None:
    """An empty mount point opens it; mounting the repository closes it."""
    stand.cvmfs.unmount()
    while Reason.CIRCUIT is not (reason := stand.look(LAYERS[0])):
        assert Reason.NOT_MOUNTED is reason
    stand.cvmfs.mount()

    stand.wait_for(State.CLOSED)
    assert Reason.HIT is stand.look(LAYERS[0])


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENODATA])
def test_denied_attributes(stand: Stand, number: int) -> None:
    """A client that protects its attributes is as good as any other, and is held too."""
    stand.cvmfs.breaks(attributes_denied(number))

    assert [Reason.HIT] * len(LAYERS) == [stand.look(each) for each in LAYERS]
    assert [Reason.ABSENT] * 3 == [stand.look(ABSENT) for _ in range(3)]
    stand.tended.tenders["tests"].release()
    stand.tended.tenders["tests"].hold()
    stand.wait_held()
    assert [] == stand.heard()


def test_missing_layers(stand: Stand) -> None:
    """Any number of layers that were never published is no trouble."""
    assert [Reason.ABSENT] * 5 == [stand.look(ABSENT) for _ in range(5)]
    assert [] == stand.heard()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ELOOP, errno.EACCES])
def test_errors(stand: Stand, number: int) -> None:
    """Each error opens it, and its end closes it."""
    stand.cvmfs.breaks(fails(number, below="/.layers"))
    stand.cvmfs.forget()
    outcomes = [stand.look(each) for each in LAYERS[:3]]

    assert Reason.CIRCUIT is outcomes[2]
    assert not any(reason.healthy for reason in outcomes)
    stand.cvmfs.heals()
    stand.wait_for(State.CLOSED)
    assert Reason.HIT is stand.look(LAYERS[0])


def test_hang(stand: Stand) -> None:
    """What hangs is given up, answers come at once from then on, and nothing piles up."""
    stand.cvmfs.breaks(hangs())
    stand.cvmfs.forget()
    assert [Reason.SLOW] * 2 == [stand.look(LAYERS[0]), stand.look(LAYERS[1])]
    began = time.perf_counter()
    assert [Reason.CIRCUIT] * 1000 == [stand.look(LAYERS[2]) for _ in range(1000)]
    each = (time.perf_counter() - began) / 1000

    assert each < 0.001
    wait_until("it was tried", lambda: stand.tries >= 2)
    # One trial at a time, those that were given up, and what holds the root.
    assert stand.tended.stuck <= 4
    stand.cvmfs.heals()
    stand.wait_for(State.CLOSED)
    assert Reason.HIT is stand.look(LAYERS[0])
    wait_until("nothing hangs any more", lambda: stand.tended.stuck == 0)


def test_one_damaged_layer(stand: Stand) -> None:
    """A layer that is at fault itself does not keep the others from being used."""
    damaged, good, *_ = LAYERS
    stand.cvmfs.breaks(fails(errno.EIO, below=place(damaged)))
    assert [Reason.INPUT_OUTPUT] * 2 == [stand.look(damaged), stand.look(damaged)]
    stand.wait_for(State.CLOSED)

    assert [Reason.INPUT_OUTPUT] * 3 == [stand.look(damaged) for _ in range(3)]
    assert Reason.HIT is stand.look(good)
    closed = stand.events.recorded[-1]
    assert isinstance(closed, CircuitClosed)
    assert 1 == closed.suspects


def test_held_until_released(stand: Stand) -> None:
    """A root that is held cannot be unmounted; once released it can, and nothing is touched."""
    busy = subprocess.run(["umount", stand.cvmfs.point], check=False, capture_output=True)
    assert 0 != busy.returncode
    assert stand.tended.tenders["tests"].release()
    subprocess.run(["umount", stand.cvmfs.point], check=True)

    assert not stand.cvmfs.mounted
    assert [] == stand.heard()


@pytest.fixture
def daemon(cvmfs: FileSystem) -> Iterator[Daemon]:
    """Give a daemon whose source is the file system."""
    more = f'repository = "{cvmfs.repository}"\nlookup_deadline = 1\n'
    made = Daemon.make(cvmfs.point.parent / "d", cvmfs.point, "cvmfs", more).start()
    yield made
    cvmfs.unmount()
    made.stop()


def health(daemon: Daemon) -> dict[str, bool]:
    """Ask a daemon for its health."""
    with grpc.insecure_channel(f"unix://{daemon.socket}") as channel:
        request = health_pb2.HealthListRequest()
        answer = health_pb2_grpc.HealthStub(channel).List(request, timeout=30.0)
    serving = health_pb2.HealthCheckResponse.SERVING
    return {name: each.status == serving for name, each in answer.statuses.items()}


def command(daemon: Daemon, *arguments: str) -> tuple[int, str]:
    """Run a command that asks a daemon."""
    name, *others = arguments
    done = subprocess.run(
        [PROGRAM, name, "--address", str(daemon.socket), *others],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_daemon(daemon: Daemon, cvmfs: FileSystem) -> None:
    """A daemon outlives its client: it says so, serves on, and hits resume without a restart."""
    client = WireSnapshotter(daemon.socket)
    snapshots = "containerd.services.snapshots.v1.Snapshots"

    def pull(layer: Layer) -> bool:
        labels = {
            "containerd.io/snapshot.ref": layer.diff_id,
            "containerd.io/snapshot/cri.layer-digest": layer.digest,
        }
        try:
            client.prepare(f"extract-{time.monotonic_ns()}", "", labels)
        except AlreadyExistsError:
            return True
        return False

    wait_until("the source is held", lambda: " yes " in command(daemon, "status")[1])
    assert pull(LAYERS[0])
    assert {"": True, snapshots: True, "source/tests": True} == health(daemon)
    assert 0 == command(daemon, "status")[0]

    cvmfs.dies()
    assert [False] * 4 == [pull(layer) for layer in LAYERS[1:5]]
    assert ["disconnected", "disconnected", "circuit", "circuit"] == [
        decision.reason for decision in daemon.decisions()[-4:]
    ]
    assert {"": True, snapshots: True, "source/tests": False} == health(daemon)
    status, shown = command(daemon, "status")
    assert 3 == status
    assert "tests: disconnected: " in shown

    cvmfs.unmount()
    cvmfs.mount()
    wait_until("the source is up", lambda: health(daemon)["source/tests"])
    assert pull(LAYERS[5])
    messages = [str(line["msg"]) for line in daemon.lines()]
    assert 1 == sum(message.startswith("circuit opened") for message in messages)
    assert 1 == sum(message.startswith("circuit closed") for message in messages)
    client.close()


def test_daemon_releases(daemon: Daemon, cvmfs: FileSystem) -> None:
    """The command lets the source be unmounted while the daemon runs."""
    wait_until("the source is held", lambda: " yes " in command(daemon, "status")[1])

    assert 0 == command(daemon, "release", "tests")[0]
    subprocess.run(["umount", cvmfs.point], check=True)
    cvmfs.dies()
    cvmfs.mount()
    assert 0 == command(daemon, "release", "tests", "--hold")[0]
    wait_until("the source is held", lambda: " yes " in command(daemon, "status")[1])
