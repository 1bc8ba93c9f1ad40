"""The demonstration says what is, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.demo import abandoned
from tests.harness import leftovers, mounts, samples
from tests.harness.leftovers import Machine
from tests.harness.parts import ROOT
from tests.harness.processes import is_alive, processes, wait_until
from tests.harness.registry import Registry
from tests.harness.repository import Repository
from tests.harness.workspace import PREFIX, Workspace

NOTHING = """
import sys
from tests.demo.supervise import supervise
sys.exit(supervise(lambda workspace: 0))
"""
"""Program that does nothing in a workspace of its own."""

LONG = """
import sys, time
from tests.demo.supervise import supervise
def work(workspace):
    while not (workspace.base / "end").exists():
        time.sleep(0.05)
    return 0
sys.exit(supervise(work))
"""
"""Program that lasts until there is a file `end` in its workspace."""

COMMAND = (sys.executable, "-m", "tests.demo")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, check=False, text=True, timeout=200
    )


def _directory(temporary: Path) -> Path:
    """Wait for the directory of a run; Python's own tries of its parent have other names."""
    found = wait_until("it has a directory", lambda: list(temporary.glob(f"{PREFIX}*")))
    return found[0]


def test_all_is_as_it_should_be() -> None:
    """All stages of the demonstration end as they should."""
    result = _run()

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("As it should be.") == 4
    assert result.stderr == ""


def test_an_image_of_a_registry(registry: Registry, base: Workspace) -> None:
    """With somebody else's tree and image, the layers and the container's output are shown."""
    image = samples.image_a()
    repository = Repository.make(base.base / "for-demo")
    repository.publish(*image.layers)

    result = _run(
        *("--layers", str(repository.path), "--image", registry.reference(image)),
        *("--command", samples.SHOW_A),
    )

    assert result.returncode == 0, result.stdout + result.stderr
    for layer in image.layers:
        line = next(line for line in result.stdout.splitlines() if layer.hexadecimal[:12] in line)
        assert line.split()[1] == "hit"
        assert line.split()[-1] == "0"
    for line in samples.SHOWN_BY_A.splitlines():
        assert line in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layers", "/"], "need each other"),
        (["--image", "a"], "need each other"),
        (["--command", "true"], "needs --image"),
        (["--layers", "/nowhere", "--image", "a"], "/nowhere has no directory .layers"),
        (["--no-such-option"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: str) -> None:
    """Wrong arguments are named, and nothing is started."""
    result = _run(*arguments)

    assert result.returncode == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    ("heading", "seconds"), [("", 0.1), ("1. ", 0.0), ("1. ", 0.7), ("2. ", 0.3), ("4. ", 0.1)]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(
    base: Workspace, number: signal.Signals, heading: str, seconds: float
) -> None:
    """Whenever a signal comes, all that was started is gone when the program has ended."""
    before = Machine.now()
    temporary = base.base / f"{number.name}-{heading}{seconds}".replace(" ", "")
    temporary.mkdir()
    with subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        works_in = _directory(temporary)
        assert program.stdout is not None
        if heading:
            next(line for line in program.stdout if line.startswith(heading))
        time.sleep(seconds)
        program.send_signal(number)
        _, errors = program.communicate(timeout=60)

    assert program.returncode == 128 + number, errors
    assert "interrupted" in errors
    assert leftovers.find(works_in, Workspace(works_in, before).cgroup, before) == []


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _start(command: tuple[str, ...], temporary: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _nothing(temporary: Path) -> str:
    """Let a run do nothing, and tell what it says."""
    with _start((sys.executable, "-c", NOTHING), temporary) as program:
        said, _ = program.communicate(timeout=60)
    assert 0 == program.returncode, said
    return said


def test_the_next_run_sweeps_what_a_killed_one_left(base: Workspace) -> None:
    """Killed with SIGKILL it leaves programs and mounts; the next run takes them away.

    As long as a process of it lives, nobody touches them.
    """
    before = Machine.now()
    temporary = base.base / "killed"
    temporary.mkdir()
    with _start(COMMAND, temporary) as program:
        works_in = _directory(temporary)
        wait_until("its containerd runs", lambda: _runs(works_in, "containerd"))
        (child,) = _children(program.pid)
        assert "" == _nothing(temporary)
        os.kill(program.pid, signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
    wait_until("it has ended", lambda: not is_alive(child))
    assert _runs(works_in, "containerd")
    assert mounts.below(works_in)

    assert f"demo: swept {works_in}, which a run that was killed had left\n" == _nothing(temporary)

    assert [] == leftovers.find(works_in, Workspace(works_in, before).cgroup, before)
    assert [] == list(temporary.iterdir())
    assert "" == _nothing(temporary)


def test_the_work_sweeps_when_its_supervisor_was_killed(base: Workspace) -> None:
    """With the supervisor gone, the work goes on to its end and takes its directory away."""
    temporary = base.base / "orphan"
    temporary.mkdir()
    with _start((sys.executable, "-c", LONG), temporary) as program:
        works_in = _directory(temporary)
        wait_until("it works", lambda: _children(program.pid))
        program.kill()
        program.wait(60.0)
        assert "" == _nothing(temporary)
        assert works_in.exists()
        (works_in / "end").touch()
        wait_until("its directory is gone", lambda: not works_in.exists())


def test_directories_of_others_are_left_alone(base: Workspace) -> None:
    """What another user has made to look like an abandoned run is not touched."""
    temporary = base.base / "others"
    theirs = temporary / f"{PREFIX}theirs"
    theirs.mkdir(parents=True)
    (theirs / abandoned.NAME).touch()
    os.chown(theirs, 1000, 1000)
    linked = base.base / "linked"
    linked.mkdir()
    (linked / abandoned.NAME).touch()
    (temporary / f"{PREFIX}link").symlink_to(linked)

    assert "" == _nothing(temporary)

    assert theirs.exists()
    assert linked.exists()


def _runs(works_in: Path, program: str) -> bool:
    return any(
        Path(line[0]).name == program and str(works_in) in " ".join(line)
        for _, line in processes()
        if line
    )
