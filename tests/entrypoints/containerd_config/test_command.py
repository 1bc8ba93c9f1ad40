"""The command ``containerd-config``: what it prints and how it ends."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.cli.containerd_config import _PULLS, _RELEASES
from cvmfs_snapshotter.entrypoints.containerd_config.releases import RELEASES, Pull
from tests.entrypoints.containerd_config.configurations import NODE_OF_1, WAYS, node


def run(*arguments: str) -> int:
    """Run the command."""
    return main(["containerd-config", *arguments])


def test_the_parser_knows_what_there_is() -> None:
    """The parser names releases and ways to pull by itself, so that help imports nothing."""
    assert list(RELEASES) == list(_RELEASES)
    assert [pull.value for pull in Pull] == list(_PULLS)


@pytest.mark.parametrize(("release", "pull"), WAYS)
def test_print_and_check(
    release: str, pull: Pull, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed, and nothing else, is a file that passes."""
    way = ("--for", release, "--pull", pull.value)
    assert 0 == run(*way, "--address", "/d.sock", "--root", "/r", "--platform", "linux/s390x")
    printed = capsys.readouterr()
    file = tmp_path / "config.toml"
    file.write_text(printed.out)
    where = ("--address", "/d.sock", "--root", "/r", "--platform", "linux/s390x")

    assert "" == printed.err
    assert "/d.sock" in printed.out
    assert (pull is Pull.TRANSFER) == ("linux/s390x" in printed.out)
    assert 0 == run(*way, *where, "--check", str(file))
    assert 0 == run("--for", release, *where, "--check", str(file))
    text = capsys.readouterr().out
    assert f"{file}: nothing keeps containerd {release} from remote layers" in text
    assert ("itself" if pull is Pull.LOCAL else "through the transfer service") in text
    assert 1 == run(*way, "--check", str(file)), "the default socket is another"


def test_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    """Socket and state are those of the daemon, the pull is local, the platform this machine's."""
    assert 0 == run("--for", "2.1")
    printed = capsys.readouterr().out

    assert printed == _printed(capsys, "--pull", "local")
    ours = tomllib.loads(printed)["proxy_plugins"]["cvmfs-snapshotter"]
    assert "/run/containerd-cvmfs-grpc/containerd-cvmfs-grpc.sock" == ours["address"]
    assert "/var/lib/containerd-cvmfs-grpc" == ours["exports"]["root"]
    entry = tomllib.loads(_printed(capsys, "--pull", "transfer"))["plugins"]
    assert entry["io.containerd.transfer.v1.local"]["unpack_config"][0]["platform"].startswith(
        "linux/"
    )


def _printed(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert 0 == run("--for", "2.1", *more)
    return capsys.readouterr().out


def test_findings_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each, on standard output: the file, a name, what is wrong, the line to add."""
    file = tmp_path / "config.toml"
    text = node("1.7").replace("annotations = false", "annotations = true")
    table = '[plugins."io.containerd.grpc.v1.cri".containerd]'
    file.write_text(text.replace(table, f"{table}\n  discard_unpacked_layers = true"))

    assert 1 == run("--for", "1.7", "--check", str(file))
    finding, note = capsys.readouterr().out.splitlines()
    assert (
        f"{file}: cri-annotations: the CRI does not say which layer it wants; every layer is "
        f"downloaded: in {table} set disable_snapshot_annotations = false"
    ) == finding
    assert note.startswith(f"{file}: note: discard_unpacked_layers = true: ")


def test_notes_alone_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What works is no reason to end with 1."""
    file = tmp_path / "config.toml"
    table = '[plugins."io.containerd.grpc.v1.cri".containerd]'
    file.write_text(node("1.7").replace(table, f"{table}\n  discard_unpacked_layers = true"))

    assert 0 == run("--for", "1.7", "--check", str(file))
    assert "note: " in capsys.readouterr().out


def test_findings_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for machines: one object, the lines to add one by one."""
    file = tmp_path / "config.toml"
    file.write_text("version = 2\n" + NODE_OF_1)

    assert 1 == run("--for", "1.7", "--json", "--check", str(file))
    found = json.loads(capsys.readouterr().out)
    assert (str(file), "1.7", "local", []) == tuple(
        found[key] for key in ("file", "containerd", "pull", "notes")
    )
    assert {
        "name": "cri-snapshotter",
        "problem": "the CRI uses its default snapshotter",
        "table": '[plugins."io.containerd.grpc.v1.cri".containerd]',
        "add": ['snapshotter = "cvmfs-snapshotter"'],
        "remove": [],
    } in found["findings"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--for", "1.7", "--pull", "transfer"], "containerd 1.7 cannot tell a snapshotter"),
        (["--for", "1.7", "--pull", "transfer", "--check", "/dev/null"], "containerd 1.7 cannot"),
        (["--for", "2.1", "--json"], "--json needs --check"),
        (["--for", "2.1", "--root", "state"], "--root 'state': containerd needs an absolute"),
        (["--for", "2.1", "--address", "d.sock"], "--address 'd.sock': containerd needs an"),
        (["--for", "2.1", "--root", "/a\nb"], r"--root '/a\nb': containerd needs an absolute"),
        (["--for", "2.1", "--platform", "amd64"], "--platform 'amd64': no platform such as"),
        (["--for", "2.1", "--platform", ""], "--platform '': no platform such as"),
        (["--for", "2.1", "--check", "/nowhere.toml"], "/nowhere.toml: No such file or directory"),
        (["--for", "2.1", "--check", "/"], "/: Is a directory"),
    ],
)
def test_what_cannot_be_meant(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is on standard error, nothing on standard output, and the status is 2."""
    assert 2 == run(*arguments)
    printed = capsys.readouterr()
    assert "" == printed.out
    assert f"cvmfs-snapshotter: {message}" in printed.err


@pytest.mark.parametrize("arguments", [[], ["--for", "1.5"], ["--for", "2.1", "--pull", "ftp"]])
def test_unknown_releases_and_ways(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The right ones are named."""
    with pytest.raises(SystemExit) as raised:
        run(*arguments)

    assert 2 == raised.value.code
    assert "--for" in capsys.readouterr().err


def test_help_imports_little() -> None:
    """The rules about containerd are read when the command is run, not for help."""
    program = (
        "import sys\n"
        "from cvmfs_snapshotter.entrypoints.cli import main\n"
        "try:\n"
        "    main(['containerd-config', '--help'])\n"
        "finally:\n"
        "    print([m for m in sys.modules if '.containerd_config.' in m or m == 'tomllib'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "[]" == done.stdout.splitlines()[-1]
