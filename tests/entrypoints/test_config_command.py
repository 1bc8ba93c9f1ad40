"""The command ``config``."""

import json
import logging
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.domain.policy import Policy
from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.config import Config, default_config, load_config
from cvmfs_snapshotter.entrypoints.config_output import as_plain

SOURCES = """\
staged = true
log_level = "warn"

[[source]]
name = "a"
repository = "a.example.org"
host_path = "/mnt/a \\"quoted\\""
whiteouts = "refuse"
lookup_deadline = 0.5

[[source]]
name = "b"
kind = "directory"
path = "/nfs/ä"
keep_mounted = false

[metrics]
address = "[::1]:9732"

[tracing]
endpoint = "http://127.0.0.1"
ratio = 0.25
"""
GO = 'repository = "b.cern.ch"\nabsolute-mountpoint = "/mnt"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give the path of a configuration file."""
    return tmp_path / "config.toml"


@pytest.mark.parametrize("said", [SOURCES, GO, ""])
def test_what_is_shown_means_the_same(
    said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The output is a file of its own: read again, it is the same configuration."""
    file.write_text(said)
    meant = load_config(str(file))

    assert 0 == main(["config", "show", "--config", str(file)])
    shown = capsys.readouterr()
    assert "" == shown.err
    assert shown.out.startswith(f"# {file}, with the defaults\n")
    file.write_text(shown.out)
    again = load_config(str(file))
    assert attrs.evolve(meant, log_level=again.log_level) == again
    assert (meant.log_level or logging.INFO) == again.log_level


def test_the_defaults(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file they are shown, and said to be the defaults."""
    assert 0 == main(["config", "show"])
    shown = capsys.readouterr().out
    assert shown.startswith("# no file: these are the defaults\nstaged = false\nlog_level = ")
    assert 'path = "/cvmfs/unpacked.cern.ch"\n' in shown
    file.write_text(shown)
    assert attrs.evolve(default_config(), log_level=logging.INFO) == load_config(str(file))


def test_for_programs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The keys are those of the file, and a directory has no repository."""
    file.write_text(SOURCES)

    assert 0 == main(["config", "show", "--json", "--config", str(file)])
    shown = json.loads(capsys.readouterr().out)
    assert str(file) == shown["file"]
    assert shown["config"]["staged"]
    assert {"address": "[::1]:9732"} == shown["config"]["metrics"]
    expected = {"endpoint": "http://127.0.0.1:4318/v1/traces", "ratio": 0.25}
    assert expected == shown["config"]["tracing"]
    assert "warning" == shown["config"]["log_level"]
    first, second = shown["config"]["source"]
    assert {
        "name": "a",
        "kind": "cvmfs",
        "repository": "a.example.org",
        "path": "/cvmfs/a.example.org",
        "host_path": '/mnt/a "quoted"',
        "whiteouts": "refuse",
        "implied_dirs": "correct",
        "ownership": "warn",
        "lookup_deadline": 0.5,
        "scan_deadline": 60.0,
        "keep_mounted": True,
    } == first
    assert "repository" not in second
    assert 0 == main(["config", "show", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert (None, None) == (shown["file"], shown["config"]["metrics"])


def test_everything_is_shown() -> None:
    """Whoever adds a key to the configuration adds it to what is shown."""
    plain = as_plain(default_config())
    sources = plain["source"]
    assert isinstance(sources, list)

    assert len(attrs.fields(Config)) == len(plain)
    # The policy is three keys of its source.
    fields = len(attrs.fields(SourceSettings)) - 1 + len(attrs.fields(Policy))
    assert [fields] == [len(source) for source in sources]


@pytest.mark.parametrize("action", ["show", "check"])
def test_each_problem(action: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them are told, a line each, and the status is that of a configuration in error."""
    file.write_text('repositry = 1\nstaged = "x"\n')

    assert 2 == main(["config", action, "--config", str(file)])
    shown = capsys.readouterr()
    assert "" == shown.out
    begin = f"cvmfs-snapshotter: {file}: "
    assert [
        f"{begin}staged: expected true or false, not 'x'",
        f"{begin}repositry: unknown key; did you mean 'repository'?",
    ] == shown.err.splitlines()


def test_problems_for_programs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are a list, empty if there are none; the status is the same as for people."""
    command = ["config", "check", "--json", "--config", str(file)]
    file.write_text("= 1\n")
    assert 2 == main(command)
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem.startswith(f"{file}: not TOML: ")
    file.write_text("")
    assert 0 == main(command)
    assert {"file": str(file), "problems": []} == json.loads(capsys.readouterr().out)


def test_no_problems(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is said, with what was looked at."""
    file.write_text(SOURCES)
    assert 0 == main(["config", "check", "--config", str(file)])
    assert f"{file}: no problems\n" == capsys.readouterr().out
    assert 0 == main(["config", "check"])
    assert "no file: the defaults: no problems\n" == capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["walk"], ["show", "more"]])
def test_what_cannot_be_meant(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An action is needed, and takes flags alone."""
    with pytest.raises(SystemExit) as raised:
        main(["config", *arguments])

    assert 2 == raised.value.code
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/run/d.sock", "/run//d.sock", "/run/d.sock.lock"])
def test_metrics_on_the_own_socket(
    file: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A daemon would not start with metrics where containerd is served, and neither is it fine."""
    file.write_text(f'[metrics]\naddress = "unix:{path}"\n')
    check = ["config", "check", "--config", str(file), "--address"]

    assert 2 == main([*check, "/run/d.sock"])
    assert f"{file}: metrics.address: " in capsys.readouterr().err
    assert 2 == main([*check, "/run/d.sock", "--json"])
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert "the daemon's own" in problem
    assert 0 == main([*check, "/run/other.sock"])


def test_metrics_whose_lock_is_the_socket(file: Path) -> None:
    """The same for the lock beside the socket of the metrics."""
    file.write_text('[metrics]\naddress = "unix:/run/m"\n')

    assert 2 == main(["config", "check", "--config", str(file), "--address", "/run/m.lock"])
