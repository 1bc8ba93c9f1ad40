"""Completion, by the shells themselves."""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.cli.arguments import build_parser
from cvmfs_snapshotter.entrypoints.cli.grammar import grammar_of
from tests.harness.parts import find_all

Complete: TypeAlias = Callable[[Path, Path, list[str]], set[str]]
"""Gives what a shell offers for the last of some words, which may be begun.

It is given the script, and the directory to work in.
"""

PROGRAM = "cvmfs-snapshotter"


def in_bash(script: Path, directory: Path, words: list[str]) -> set[str]:
    """Call the function as bash does."""
    # bash takes --flag=value for three words.
    split = [part for word in words for part in word.replace("=", " = ").split(" ")]
    program = (
        f"source {script}; COMP_WORDS=({shlex.join(split)}); COMP_CWORD={len(split) - 1}\n"
        '_cvmfs_snapshotter; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return run(directory, "bash", "--norc", "-c", program)


def in_zsh(script: Path, directory: Path, words: list[str]) -> set[str]:
    """Call the function as zsh does; what zsh's own functions are told is printed."""
    program = (
        f"""
        module_path=({find_all().zsh.parent.parent}/usr/lib/*/zsh/5.9)
        words=({shlex.join(words)}); CURRENT=$#words; PREFIX=$words[CURRENT]
        _describe() {{ for entry in ${{(P)2}}; do print -r -- ${{entry%%:*}}; done }}
        _files() {{ print -r -- * }}
        compset() {{ PREFIX=${{PREFIX#*=}} }}
        """
        f"source {script}; _cvmfs_snapshotter"
    )
    found = run(directory, str(find_all().zsh), "-f", "-c", program)
    begun = words[-1].rpartition("=")[2]
    return {word for word in found if word.startswith(begun)}


def in_fish(script: Path, directory: Path, words: list[str]) -> set[str]:
    """Ask fish."""
    program = f"source {script}; complete -C {shlex.quote(' '.join(words))}"
    found = run(directory, str(find_all().fish), "--no-config", "-c", program)
    offered = {line.split("\t")[0] for line in found}
    return {word.rpartition("=")[2] if "=" in words[-1] else word for word in offered}


def run(directory: Path, *command: str) -> set[str]:
    """Run a shell and give the lines that it prints."""
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": find_all().fish_libraries,
        "HOME": str(directory),
    }
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=directory, env=environment, check=False
    )
    assert "" == done.stderr
    return set(done.stdout.split("\n")) - {""}


SHELLS: dict[str, Complete] = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


@pytest.fixture(params=["bash", "zsh", "fish"])
def complete(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], set[str]]:
    """Give a shell that has read its script: what it offers for a line that is begun."""
    shell = request.param
    assert 0 == main(["completion", shell])
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    directory = tmp_path / "directory"
    directory.mkdir()
    (directory / "file.toml").touch()
    return lambda line: SHELLS[shell](script, directory, line.split(" "))


def test_commands(complete: Callable[[str], set[str]]) -> None:
    """All commands are offered, and those that begin as what is there."""
    everything = {command.words[0] for command in grammar_of(build_parser()).commands}

    assert everything == {word for word in complete(f"{PROGRAM} ") if not word.startswith("-")}
    assert {"release", "reconcile"} == complete(f"{PROGRAM} re")


def test_commands_below_commands(complete: Callable[[str], set[str]]) -> None:
    """They are offered behind theirs, and the flags of theirs behind them."""
    assert {"show", "check"} == {
        word for word in complete(f"{PROGRAM} config ") if not word.startswith("-")
    }
    assert {"--config"} == complete(f"{PROGRAM} config show --c")
    assert {"--to"} == complete(f"{PROGRAM} db backup --t")


def test_flags(complete: Callable[[str], set[str]]) -> None:
    """Those of the command, also behind others that have values."""
    expected = {"--address", "--config", "--fresh", "--help", "--log-level", "--root", "--version"}
    assert expected <= complete(f"{PROGRAM} run --")
    assert {"--json"} == complete(f"{PROGRAM} ls --root /x --j")
    assert set() == complete(f"{PROGRAM} ls --fr")


@pytest.mark.parametrize("line", ["run --config ", "run --config=", "db restore "])
def test_files(line: str, complete: Callable[[str], set[str]]) -> None:
    """Paths are completed where one is wanted."""
    assert "file.toml" in complete(f"{PROGRAM} {line}")


def test_words(complete: Callable[[str], set[str]]) -> None:
    """Where only some words can stand, they are offered."""
    assert {"bash"} == complete(f"{PROGRAM} completion b")
    assert {"warn", "warning"} == complete(f"{PROGRAM} run --log-level w")
    assert {"warn", "warning"} == complete(f"{PROGRAM} run --log-level=w")


@pytest.mark.parametrize("line", ["wishlist --user ", "explain --snapshotter "])
def test_what_is_open(line: str, complete: Callable[[str], set[str]]) -> None:
    """Where anything can stand nothing is offered: neither files nor flags."""
    assert set() == complete(f"{PROGRAM} {line}")


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    """The known ones are named."""
    with pytest.raises(SystemExit) as raised:
        main(["completion", "tcsh"])

    assert 2 == raised.value.code
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err
