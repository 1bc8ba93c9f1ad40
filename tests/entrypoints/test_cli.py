import subprocess
import sys
from pathlib import Path

import pytest

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.entrypoints.cli import flags, main
from cvmfs_snapshotter.entrypoints.cli.arguments import build_parser, parse
from cvmfs_snapshotter.entrypoints.cli.grammar import Grammar, grammar_of

DEFAULTS = {
    "address": "/run/containerd-cvmfs-grpc/containerd-cvmfs-grpc.sock",
    "config": "",
    "log_level": None,
    "root": "/var/lib/containerd-cvmfs-grpc",
    "fresh": False,
}


def run_flags(argv: list[str], *, as_daemon: bool = False) -> dict[str, object]:
    """What the arguments make of the flags of ``run``."""
    found = vars(parse(argv, as_daemon=as_daemon).arguments)
    return {name: found[name] for name in DEFAULTS}


def test_defaults() -> None:
    """The defaults are those of the Go program, so that either can take the other's place."""
    assert DEFAULTS == run_flags(["run"])
    assert DEFAULTS == run_flags([], as_daemon=True)
    assert DEFAULTS == run_flags(["run"], as_daemon=True)


@pytest.mark.parametrize("dashes", ["-", "--"])
@pytest.mark.parametrize("glue", ["=", " "])
def test_flags(dashes: str, glue: str) -> None:
    """Every flag takes one dash or two, and its value behind a space or an equals sign."""
    given = {"address": "/a.sock", "config": "/c=d.toml", "log-level": "WARN", "root": "/r"}
    text = [f"{dashes}{name}{glue}{value}" for name, value in given.items()]
    split = [part for flag in text for part in flag.split(" ")]
    expected = {
        "address": "/a.sock",
        "config": "/c=d.toml",
        "log_level": 30,
        "root": "/r",
        "fresh": True,
    }

    assert expected == run_flags(["run", *split, f"{dashes}fresh"])
    assert expected == run_flags([*split, f"{dashes}fresh"], as_daemon=True)


@pytest.mark.parametrize(
    ("given", "expected"), [("unix:///a/b", "/a/b"), ("unix:/a/b", "/a/b"), ("/a/b", "/a/b")]
)
def test_addresses(given: str, expected: str) -> None:
    """An address may be spelled as a gRPC target."""
    assert expected == run_flags(["run", "--address", given])["address"]


def test_an_empty_configuration_is_none() -> None:
    """Go's way to leave a flag at its default is to give it an empty value."""
    assert "" == run_flags(["run", "-config="])["config"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--nothing"],
        ["run", "-roo", "/x"],
        ["run", "--roo", "/x"],
        ["run", "--root"],
        ["run", "--log-level", "loud"],
        ["run", "more"],
        ["walk"],
    ],
)
def test_what_cannot_be_meant(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown flags, abbreviations, missing and wrong values end with 2 and a message."""
    with pytest.raises(SystemExit) as raised:
        parse(arguments, as_daemon=False)

    assert 2 == raised.value.code
    assert "error: " in capsys.readouterr().err


def test_the_levels_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong level is answered with the right ones."""
    with pytest.raises(SystemExit):
        parse(["run", "--log-level", "loud"], as_daemon=False)

    assert "'loud' is none of trace, debug, info, warn" in capsys.readouterr().err


EVERY = list(grammar_of(build_parser()).every())


@pytest.mark.parametrize("command", EVERY, ids=lambda one: " ".join(one.words) or "program")
def test_help_ends_with_status_and_examples(command: Grammar) -> None:
    """Whoever writes a script sees what to expect, and a line to begin with that can be meant."""
    sections = {
        block.partition("\n")[0]: block.splitlines()[1:]
        for block in command.epilog.strip("\n").split("\n\n")
    }
    called = " ".join(("cvmfs-snapshotter", *command.words))

    assert {"exit status:", "examples:"} <= set(sections)
    assert sections["exit status:"][0].startswith("  0 ")
    assert any(line.strip().startswith("2 ") for line in sections["exit status:"])
    assert any(called in line for line in sections["examples:"])
    for line in (*sections["exit status:"], *sections["examples:"]):
        assert line.startswith("  "), line


@pytest.mark.parametrize("flag", ["--version", "-version"])
@pytest.mark.parametrize("command", [one.words for one in EVERY], ids=" ".join)
def test_version(flag: str, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Name and version, whatever the command."""
    with pytest.raises(SystemExit) as raised:
        main([*command, flag])

    assert 0 == raised.value.code
    assert f"cvmfs-snapshotter {__version__}\n" == capsys.readouterr().out


def test_no_command_prints_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bare command says what there is, and fails: a service manager must notice."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/cvmfs-snapshotter"])
    with pytest.raises(SystemExit) as raised:
        main()

    assert 2 == raised.value.code
    assert "run the daemon" in "".join(capsys.readouterr())


def test_the_name_of_the_go_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under that name the daemon is run without a command."""
    config = tmp_path / "none.toml"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/cvmfs_snapshotter", "-config", str(config)])

    assert 2 == main()
    assert f"cvmfs-snapshotter: {config}: No such file or directory\n" == capsys.readouterr().err


def test_a_bad_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of its problems are printed, a line each, without a traceback; the status is 2."""
    config = tmp_path / "config.toml"
    config.write_text("repositry = 1\nrepository = 2\n")

    assert 2 == main(["run", "--config", str(config)])
    lines = capsys.readouterr().err.splitlines()
    assert 2 == len(lines)
    assert all(line.startswith(f"cvmfs-snapshotter: {config}: repos") for line in lines)


@pytest.mark.parametrize(
    "flags",
    [
        ["--version"],
        ["--help"],
        ["run", "--help"],
        ["status", "--help"],
        ["release", "--help"],
        ["ls", "--help"],
        ["tree", "--help"],
        ["info", "--help"],
        ["config", "check", "--help"],
        ["completion", "bash"],
    ],
)
def test_short_commands_import_little(flags: list[str]) -> None:
    """Version and help come at once: neither gRPC nor SQLAlchemy nor structlog is imported."""
    program = (
        "import sys\n"
        "from cvmfs_snapshotter.entrypoints.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "finally:\n"
        "    print(*{'grpc', 'google', 'sqlalchemy', 'structlog', 'logging'} & set(sys.modules))\n"
    )
    command = [sys.executable, "-c", program, *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "" == done.stdout.splitlines()[-1]


def test_help_names_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks for help learns where socket and state are."""
    with pytest.raises(SystemExit):
        parse(["run", "-help"], as_daemon=False)
    text = "".join(capsys.readouterr().out.split())

    assert flags.DEFAULT_ADDRESS in text
    assert flags.DEFAULT_ROOT in text
