"""What becomes of the output of every command."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from cvmfs_snapshotter.domain.labels import LAYER_DIGEST, TARGET
from cvmfs_snapshotter.entrypoints.cli.arguments import build_parser
from cvmfs_snapshotter.entrypoints.cli.ending import NOBODY_READS, ended
from tests.contract.wire import WireSnapshotter
from tests.harness.daemon import Daemon
from tests.harness.layers import file, layer
from tests.harness.repository import Repository

OTHER = layer(file("other", "other\n"))

COMMANDS = [
    "--help",
    "ls --help",
    "status --address {socket}",
    "status --address {socket} --json",
    "ls --root {root}",
    "ls --root {root} --json",
    "tree --root {root}",
    "info --root {root} key",
    "info --root {root} key --json",
    "doctor --config {config} --root {root} --address {socket}",
    "doctor --config {config} --root {root} --address {socket} --json",
    "explain --config {config} --root {root} --containerd-root {containerd} sha256:{digest}",
    "wishlist --config {config} --root {root}",
    "wishlist --config {config} --root {root} --json",
    "release --address {socket} tests --hold",
    "release --address {socket} tests --json",
    "drain --plan --root {root} --containerd-root {containerd}",
    "reconcile --config {config} --root {root} --containerd-root {containerd}",
    "config show --config {config}",
    "config check --config {config} --json",
    "containerd-config --for 2.1",
    "containerd-setup --for 2.1 --containerd none --config {containerd}",
    "db current --root {root}",
    "db check --root {root}",
    "db backup --root {root}",
    "import --root {root} --from {containerd}",
    "completion bash",
]
"""Each prints something. ``run`` prints nothing."""

SILENT = ("drain", "import")
"""Without what they look at they print on standard error alone."""


@pytest.fixture(scope="module")
def words() -> Iterator[dict[str, str]]:
    """Give what stands for the names in the commands, with a daemon behind it."""
    with tempfile.TemporaryDirectory(prefix="cvm-", dir="/tmp") as name:
        base = Path(name)
        repository = Repository.make(base / "source")
        daemon = Daemon.make(base / "d", repository.path).start()
        with closing(WireSnapshotter(daemon.socket)) as client:
            client.prepare("key", "", {TARGET: OTHER.diff_id, LAYER_DIGEST: OTHER.digest})
        yield {
            "socket": str(daemon.socket),
            "root": str(daemon.root),
            "config": str(daemon.directory / "config.toml"),
            "containerd": f"{base}/containerd",
            "digest": "0" * 64,
        }
        daemon.stop()


def _run(
    command: Sequence[str], stdout: int, *, unbuffered: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command, what it prints going to a descriptor."""
    return subprocess.run(
        [sys.executable, "-m", "cvmfs_snapshotter", *command],
        env=os.environ | {"PYTHONUNBUFFERED": "1" if unbuffered else ""},
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_reads(words: dict[str, str], command: str) -> None:
    """A command whose reader has gone ends as other programs do, without a word about it."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = _run(command.format(**words).split(), writer)
    finally:
        os.close(writer)

    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr
    assert (done.returncode == NOBODY_READS) is not command.startswith(SILENT)


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("command", ["ls --help", "completion bash", "config show --json"])
def test_a_full_disk(command: str, unbuffered: bool) -> None:
    """Output that cannot be written is a failure, and is told."""
    with Path("/dev/full").open("w") as full:
        done = _run(command.split(), full.fileno(), unbuffered=unbuffered)

    expected = "cvmfs-snapshotter: the output cannot be written: No space left on device\n"
    assert (1, expected) == (done.returncode, done.stderr)


@pytest.mark.parametrize("command", ["completion bash", "nonsense"])
@pytest.mark.parametrize("unbuffered", [False, True])
def test_nobody_reads_errors_either(command: str, unbuffered: bool) -> None:
    """It is the same where errors go the same way as all the rest."""
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "-m", "cvmfs_snapshotter", *command.split()]
    environment = os.environ | {"PYTHONUNBUFFERED": "1" if unbuffered else ""}
    try:
        ended = subprocess.run(program, check=False, stdout=writer, stderr=writer, env=environment)
    finally:
        os.close(writer)

    assert NOBODY_READS == ended.returncode


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_no_stream(closed: str) -> None:
    """A command without standard output or standard error does its work all the same."""
    redirection = {"stdout": ">&-", "stderr": "2>&-"}[closed]
    program = f"{sys.executable} -m cvmfs_snapshotter config show {redirection}"
    done = subprocess.run(["bash", "-c", program], check=False, capture_output=True, text=True)

    assert (0, "") == (done.returncode, done.stderr)


def test_every_command_is_tried() -> None:
    """Whoever adds a command adds it to the table."""
    (names,) = (
        set(action.choices)
        for action in build_parser()._actions
        if isinstance(action.choices, dict)
    )

    assert names == {command.split()[0] for command in COMMANDS} - {"--help"} | {"run"}


@pytest.mark.parametrize(
    "command",
    [
        ["info", "--root", "/tmp", "k\udcff"],
        ["ls", "--root", "/tmp", "name==k\udcff"],
        ["tree", "--root", "/tmp", "name~=k\udcff"],
        ["explain", "image:\udcff"],
        ["release", "\udcff"],
        ["drain", "--plan", "--to", "\udcff"],
        ["info", "--snapshotter", "\udcff", "key"],
    ],
    ids=" ".join,
)
def test_no_text(command: list[str]) -> None:
    """An argument in another encoding is refused as one that cannot be meant."""
    done = _run(command, subprocess.DEVNULL)

    assert 2 == done.returncode
    assert "\\udcff' is not UTF-8" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_broken_pipe() -> None:
    """A pipe of the command's own that breaks is a defect, and stays one."""

    def run() -> int:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    with pytest.raises(BrokenPipeError):
        ended(run)


def test_a_defect_says_more_than_the_output() -> None:
    """What went wrong in a command shows, also where its output cannot be written."""
    program = (
        "import sys\n"
        "from cvmfs_snapshotter.entrypoints.cli.ending import ended\n"
        "def run():\n"
        "    print('something')\n"
        "    raise ValueError('a defect')\n"
        "sys.exit(ended(run))\n"
    )
    with open("/dev/full", "w") as full:  # noqa: PTH123 - it is no file
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONUNBUFFERED": ""},
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert 0 != done.returncode
    assert "ValueError: a defect" in done.stderr


def test_warnings_of_libraries_harm_nobody() -> None:
    """The daemon's threads meet no error of ours where standard error cannot be written."""
    program = (
        "import sys, warnings\n"
        "from cvmfs_snapshotter.entrypoints.cli.ending import ended, stop_watching\n"
        "def run():\n"
        "    stop_watching()\n"
        "    warnings.warn('old')\n"
        "    return 7\n"
        "sys.exit(ended(run))\n"
    )
    with open("/dev/full", "w") as full:  # noqa: PTH123 - it is no file
        done = subprocess.run(
            [sys.executable, "-u", "-c", program],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=full,
        )

    assert 7 == done.returncode
