"""The pool of probe processes: what hangs, crashes or babbles there harms nobody else."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.probes import ProbePool, worker
from cvmfs_snapshotter.adapters.probes.worker import Worker

FAKE = [sys.executable, "-I", str(Path(__file__).with_name("fake_worker.py"))]
DEAF = ["/bin/sleep", "1000"]

Make = Callable[..., ProbePool]


@pytest.fixture
def make() -> Iterator[Make]:
    """Give a maker of pools that are closed at the end."""
    pools: list[ProbePool] = []

    def make_pool(command: list[str] = FAKE, **bounds: float) -> ProbePool:
        pools.append(ProbePool(command, **bounds))  # type: ignore[arg-type]
        return pools[-1]

    yield make_pool
    for pool in pools:
        pool.close()


def pid_of(pool: ProbePool) -> object:
    """Tell which process answers."""
    return pool.ask({"do": "pid"}, 10.0)["pid"]


def seconds_of(call: Callable[[], object]) -> float:
    """Tell how long a call takes."""
    started = time.monotonic()
    call()
    return time.monotonic() - started


def until(what: Callable[[], bool]) -> None:
    """Wait until something is true, for ten seconds at most."""
    end = time.monotonic() + 10.0
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_answer(make: Make) -> None:
    """A request gets its answer, and the next one the same process."""
    pool = make()

    assert pid_of(pool) == pid_of(pool)
    assert (1, 0) == pool.count()


def test_deadline(make: Make) -> None:
    """A request that hangs is given up at its deadline, and its process replaced."""
    pool = make()
    before = pid_of(pool)
    started = time.monotonic()
    answer = pool.ask({"do": "stuck"}, 0.2)

    assert time.monotonic() - started < 1.0
    assert "slow" == answer["reason"]
    assert before != pid_of(pool)


def test_last_sign(make: Make) -> None:
    """Who gives a request up is told the last sign of its progress."""
    pool = make()
    pid_of(pool)

    assert {"at": 7} == pool.ask({"do": "stuck"}, 0.5)["last"]


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ('{"id": NUMBER, "progress": {"at": 3}}', {"at": 3}),
        ('{"id": 0, "progress": {"at": 3}}', {}),
        ('{"id": NUMBER, "progress": 3}', {}),
        ('{"id": NUMBER}', {}),
        ("[NUMBER]", {}),
        ("Traceback (most recent call last):", {}),
        ("", {}),
    ],
)
@pytest.mark.parametrize(("then", "reason"), [("hang", "slow"), ("exit", "failed")])
def test_noted_sign(make: Make, line: str, last: object, then: str, reason: str) -> None:
    """A sign in standard error is told when there is no answer, if it is of this request."""
    pool = make()
    # Its process runs, so that the deadline is not spent on its start.
    pid_of(pool)
    answer = pool.ask({"do": "note", "line": line, "then": then}, 3.0 if then == "hang" else 10.0)

    assert (reason, last) == (answer["reason"], answer["last"])


def test_noted_sign_of_before(make: Make) -> None:
    """What an earlier request has noted says nothing about a later one."""
    pool = make()
    line = '{"id": NUMBER, "progress": {"at": 3}}'

    assert {} == pool.ask({"do": "note", "line": line, "then": "answer"}, 10.0)
    assert {} == pool.ask({"do": "exit"}, 10.0)["last"]


def test_stopped_worker(make: Make) -> None:
    """A process that does not even read is given up at the deadline, however long the request."""
    pool = make()
    pid = pid_of(pool)
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGSTOP)

    assert "slow" == pool.ask({"do": "length", "padding": "x" * 300_000}, 0.2)["reason"]
    until(lambda: (0, 0) == pool.count())
    assert not Path(f"/proc/{pid}").exists()


def test_long_request(make: Make) -> None:
    """A request longer than a pipe arrives whole."""
    answer = make().ask({"do": "length", "padding": "x" * 300_000}, 10.0)
    length = answer["length"]

    assert isinstance(length, int)
    assert length > 300_000


@pytest.mark.parametrize(
    "request_", [
        {"do": "exit"},
        {"do": "raw", "line": "no JSON"},
        {"do": "raw", "line": "[" * 50_000},
        {"do": "raw", "line": "[1]"},
        {"do": "raw", "line": '{"id": NUMBER}'},
        {"do": "raw", "line": '{"id": NUMBER, "answer": 1}'},
        {"do": "raw", "line": '{"id": 0, "answer": {}}'},
        {"do": "raw", "line": '{"id": NUMBER, "answer": {"x": "' + "x" * 70_000 + '"}}'},
        {"do": "raw", "line": "x" * 200_000},
    ],
)  # fmt: skip
def test_useless_worker(
    make: Make, request_: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends or babbles is a failed request and is replaced."""
    monkeypatch.setattr(worker, "MESSAGE_BYTES", 1 << 16)
    pool = make()
    before = pid_of(pool)

    assert "failed" == pool.ask(request_, 10.0)["reason"]
    assert before != pid_of(pool)


def test_killed_while_idle(make: Make) -> None:
    """A process that died while it was idle costs no request."""
    pool = make()
    pid = pid_of(pool)
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)

    assert pid != pid_of(pool)


def test_no_program(make: Make) -> None:
    """A process that cannot be started is an answer, not an error, each time anew."""
    pool = make(["/no/such/program"])
    for _ in range(10):
        answer = pool.ask({}, 1.0)

        assert "busy" == answer["reason"]
        assert "No such file" in str(answer["detail"])


def test_nothing_is_inherited(make: Make, tmp_path: Path) -> None:
    """A process has no descriptor of ours, and a session of its own."""
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        pool = make()
        answer = pool.ask({"do": "descriptors"}, 10.0)
        identity = pool.ask({"do": "pid"}, 10.0)

    assert [] == [path for path in answer["open"] if "/proc/" not in path]  # type: ignore[attr-defined]
    assert identity["pid"] == identity["group"]


def test_others_go_on(make: Make) -> None:
    """While some requests hang, others are answered by other processes."""
    pool = make(workers=2)
    with ThreadPoolExecutor(1) as threads:
        stuck = threads.submit(pool.ask, {"do": "stuck"}, 1.0)
        time.sleep(0.1)

        assert seconds_of(lambda: pid_of(pool)) < 0.8
        assert "slow" == stuck.result()["reason"]


def test_queue(make: Make) -> None:
    """Who finds all processes at work waits for one, at most until the deadline."""
    pool = make(workers=2)
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(pool.ask, {"do": "sleep", "seconds": 0.3}, 10.0) for _ in range(4)]
        time.sleep(0.1)
        late = pool.ask({"do": "pid"}, 0.1)

    assert [{"slept": True}] * 4 == [each.result() for each in asked]
    assert "busy" == late["reason"]


def test_callers_are_bounded(make: Make) -> None:
    """More callers than may wait are told so at once, so that other RPCs keep their threads."""
    pool = make(callers=2)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(pool.ask, {"do": "stuck"}, 0.6) for _ in range(2)]
        time.sleep(0.1)
        started = time.monotonic()
        turned_away = [pool.ask({"do": "pid"}, 5.0), pool.follow("k", {}, print, 5.0, 5.0)]

        assert time.monotonic() - started < 0.1
        assert ["busy", "busy"] == [each["reason"] for each in turned_away]
        assert ["slow", "slow"] == [each.result()["reason"] for each in waiting]
    assert pid_of(pool)


def test_processes_that_cannot_be_killed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Living and lost processes together are bounded; beyond it the answer comes at once."""
    monkeypatch.setattr(Worker, "kill", lambda _: None)
    pool = make(DEAF, workers=2, lost=4)
    reasons = [pool.ask({}, 0.01)["reason"] for _ in range(20)]
    started = time.monotonic()
    pool.ask({}, 10.0)

    assert ["slow"] * 6 + ["busy"] * 14 == reasons
    assert time.monotonic() - started < 0.1
    assert (0, 6) == pool.count()
    assert seconds_of(lambda: pool.close(0.2)) < 1.0

    monkeypatch.undo()
    for lost in list(pool._staff._lost):
        lost.kill()
    until(lambda: (0, 0) == pool.count())


def test_recovery(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the kernel lets go of lost processes, there is room for new ones."""
    pool = make(workers=2, lost=0)
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "kill", lambda _: None)
        for _ in range(2):
            pool.ask({"do": "sleep", "seconds": 1000}, 0.1)
        assert "busy" == pool.ask({"do": "pid"}, 0.1)["reason"]
    for lost in list(pool._staff._lost):
        lost.kill()
    until(lambda: (0, 0) == pool.count())

    assert pid_of(pool)


def test_a_thousand_hung_requests(make: Make) -> None:
    """Neither processes, descriptors nor memory grow with the number of hung requests."""
    pool = make(DEAF, workers=2, lost=4)
    pool.ask({}, 0.001)
    before = footprint()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: pool.ask({}, 0.001), range(1000)))
    pool.close()
    descriptors, resident = footprint()

    assert {"slow", "busy"} >= {answer["reason"] for answer in answers}
    assert (0, 0) == pool.count()
    assert before[0] == descriptors
    assert resident - before[1] < 4096


def footprint() -> tuple[int, int]:
    """Tell the number of open descriptors, and the pages in memory."""
    open_ones = len(list(Path("/proc/self/fd").iterdir()))
    return open_ones, int(Path("/proc/self/statm").read_text().split()[1])


def test_death_of_the_daemon(tmp_path: Path) -> None:
    """Idle processes and those that make progress do not outlive a daemon that is killed."""
    program = (
        "import sys, threading, time\n"
        "from cvmfs_snapshotter.adapters.probes import ProbePool\n"
        f"pool = ProbePool({FAKE!r})\n"
        "request = {'do': 'progress', 'steps': 100000, 'seconds': 0.05}\n"
        "args = ('k', request, print, 60.0, 60.0)\n"
        "threading.Thread(target=pool.follow, args=args, daemon=True).start()\n"
        "time.sleep(0.3)\n"
        "pool.ask({'do': 'pid'}, 10.0)\n"
        "print(*(each._process.pid for each in [*pool._staff._idle, *pool._staff._taken]))\n"
        "sys.stdout.flush()\n"
        "time.sleep(100)\n"
    )
    daemon = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    with daemon.stdout:
        pids = daemon.stdout.readline().split()
        daemon.kill()
        daemon.wait()

    assert 2 == len(pids)
    until(lambda: not any(alive(pid) for pid in pids))


def alive(pid: str) -> bool:
    """Tell whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_close(make: Make) -> None:
    """Closing ends what is waited for, within its bound, and nothing is started after it."""
    pool = make()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.ask, {"do": "stuck"}, 30.0)
        time.sleep(0.2)

        assert seconds_of(pool.close) < 1.0
        assert "failed" == waiting.result()["reason"]
    assert "busy" == pool.ask({"do": "pid"}, 1.0)["reason"]
    assert (0, 0) == pool.count()


class Results:
    """Takes results of long requests."""

    def __init__(self) -> None:
        self.all: list[Mapping[str, object]] = []
        self._one = threading.Event()

    def take(self, answer: Mapping[str, object]) -> None:
        """Take one."""
        self.all.append(answer)
        self._one.set()

    def wait(self) -> None:
        """Wait for one, for ten seconds at most."""
        assert self._one.wait(10.0)


def progress(steps: int, seconds: float) -> dict[str, object]:
    """Ask for a long request."""
    return {"do": "progress", "steps": steps, "seconds": seconds}


def test_follow(make: Make) -> None:
    """A long request is waited for as long as it makes progress, and its result handed over."""
    results = Results()
    answer = make().follow("k", progress(5, 0.2), results.take, 0.6, 10.0)

    assert {"steps": 5} == answer
    assert [{"steps": 5}] == results.all


def test_follow_without_progress(make: Make) -> None:
    """Without progress the caller gives up, and the request goes on for the next time."""
    pool, results = make(), Results()
    pid_of(pool)
    started = time.monotonic()
    answer = pool.follow("k", progress(1, 1.0), results.take, 0.4, 10.0)

    assert time.monotonic() - started < 0.9
    assert ("slow", {"step": 0}) == (answer["reason"], answer["last"])
    assert "in the background" in str(answer["detail"])
    results.wait()
    assert [{"steps": 1}] == results.all
    until(lambda: (1, 0) == pool.count() and not pool._running)


def test_follow_has_a_limit(make: Make) -> None:
    """A caller has a limit also for a request that makes progress."""
    pool = make()
    seconds = seconds_of(lambda: pool.follow("k", progress(100, 0.05), print, 5.0, 0.3))

    assert 0.25 < seconds < 1.0


def test_follow_together(make: Make) -> None:
    """Callers of one key share one request, whose result is handed over once."""
    pool, results = make(), Results()
    with ThreadPoolExecutor(3) as threads:
        answers = [
            threads.submit(pool.follow, "k", progress(3, 0.1), results.take, 5.0, 10.0)
            for _ in range(3)
        ]

    assert [{"steps": 3}] * 3 == [each.result() for each in answers]
    assert [{"steps": 3}] == results.all
    assert (1, 0) == pool.count()


def test_joining_what_hangs(make: Make) -> None:
    """Who joins a request that has hung for long already does not wait any more."""
    pool, results = make(), Results()
    pool.follow("k", progress(1, 1.0), results.take, 0.3, 10.0)

    assert seconds_of(lambda: pool.follow("k", {}, print, 0.3, 10.0)) < 0.1
    results.wait()


def test_long_requests_leave_workers(make: Make) -> None:
    """At most half of the processes are at long requests; the rest are there for look-ups."""
    pool = make(workers=2)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(pool.follow, "1", progress(1, 0.8), print, 5.0, 10.0)
        time.sleep(0.2)
        second = threads.submit(pool.follow, "2", progress(1, 0.0), print, 0.2, 10.0)

        assert seconds_of(lambda: pid_of(pool)) < 0.5
        assert "busy" == second.result()["reason"]
        assert {"steps": 1} == first.result()


def test_long_requests_queue(make: Make) -> None:
    """A long request waits for its turn as long as its caller does without progress."""
    pool = make(workers=2)
    with ThreadPoolExecutor(3) as threads:
        answers = [
            threads.submit(pool.follow, str(key), progress(1, 0.2), print, 5.0, 10.0)
            for key in range(3)
        ]

    assert [{"steps": 1}] * 3 == [each.result() for each in answers]


def test_patience_begins_with_the_turn(make: Make) -> None:
    """The time in which a long request waits for its turn is not one without progress."""
    pool = make(workers=2)
    pid_of(pool)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(pool.follow, "1", progress(1, 0.7), print, 5.0, 10.0)
        until(lambda: bool(pool._running))
        second = threads.submit(pool.follow, "2", progress(1, 0.7), print, 1.0, 10.0)

    assert [{"steps": 1}] * 2 == [first.result(), second.result()]


def test_others_that_make_progress_are_waited_for(make: Make) -> None:
    """A turn is waited for longer than the patience while those before it go on."""
    pool = make(workers=2)
    pid_of(pool)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(pool.follow, "1", progress(15, 0.1), print, 5.0, 10.0)
        until(lambda: bool(pool._running))
        started = time.monotonic()
        second = threads.submit(pool.follow, "2", progress(1, 0.0), print, 0.8, 10.0)

    assert [{"steps": 15}, {"steps": 1}] == [first.result(), second.result()]
    assert time.monotonic() - started > 0.9


def test_others_that_make_progress_have_a_limit(make: Make) -> None:
    """Nobody waits for a turn longer than the limit says."""
    pool = make(workers=2)
    pid_of(pool)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(pool.follow, "1", progress(15, 0.1), print, 5.0, 10.0)
        until(lambda: bool(pool._running))
        second = pool.follow("2", progress(1, 0.0), print, 5.0, 0.3)
        ended = first.done()

    assert "busy" == second["reason"]
    assert not ended


def test_a_turn_that_does_not_come(make: Make) -> None:
    """Who gives up before is told that others are at work; the request has its turn later."""
    pool, results = make(workers=2), Results()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(pool.follow, "1", progress(1, 1.0), print, 5.0, 10.0)
        until(lambda: (1, 0) == pool.count())
        time.sleep(0.2)
        second = pool.follow("2", progress(2, 0.0), results.take, 0.2, 10.0)
        results.wait()

    assert "busy" == second["reason"]
    assert "in the background" in str(second["detail"])
    assert {"steps": 1} == first.result()
    assert [{"steps": 2}] == results.all


def test_long_requests_are_bounded(make: Make) -> None:
    """Nobody may join a queue without end, since each request in it has a thread."""
    pool = make(workers=2, callers=3)
    for number in range(3):
        pool.follow(str(number), {"do": "stuck"}, lambda _: None, 0.05, 0.05)
    started = time.monotonic()
    answer = pool.follow("one more", {"do": "stuck"}, print, 5.0, 5.0)

    assert time.monotonic() - started < 0.5
    assert "busy" == answer["reason"]
    assert "too many long requests" in str(answer["detail"])
    assert 3 == len(pool._running)


@pytest.mark.parametrize("bounds", [{"quiet": 0.3}, {"total": 0.3}])
def test_background_is_bounded(make: Make, bounds: dict[str, float]) -> None:
    """A long request that hangs or has no end is given up, also when nobody waits for it."""
    pool, results = make(**bounds), Results()
    request = {"do": "stuck"} if "quiet" in bounds else progress(1000, 0.02)
    pool.follow("k", request, results.take, 0.1, 0.1)
    results.wait()

    assert ["slow"] == [each["reason"] for each in results.all]
    until(lambda: (0, 0) == pool.count())


def test_follow_hands_failure_over(make: Make) -> None:
    """A long request whose process ends is a failure to everybody."""
    results = Results()

    assert "failed" == make().follow("k", {"do": "exit"}, results.take, 5.0, 5.0)["reason"]
    assert ["failed"] == [each["reason"] for each in results.all]
