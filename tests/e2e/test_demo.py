"""The demonstration says what is, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.harness import leftovers, samples
from tests.harness.leftovers import Machine
from tests.harness.parts import ROOT
from tests.harness.processes import wait_until
from tests.harness.registry import Registry
from tests.harness.repository import Repository
from tests.harness.workspace import Workspace

COMMAND = (sys.executable, "-m", "tests.demo")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, check=False, text=True, timeout=200
    )


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
        works_in = wait_until("it has a directory", lambda: list(temporary.iterdir()))[0]
        assert program.stdout is not None
        if heading:
            next(line for line in program.stdout if line.startswith(heading))
        time.sleep(seconds)
        program.send_signal(number)
        _, errors = program.communicate(timeout=60)

    assert program.returncode == 128 + number, errors
    assert "interrupted" in errors
    assert leftovers.find(works_in, Workspace(works_in, before).cgroup, before) == []
