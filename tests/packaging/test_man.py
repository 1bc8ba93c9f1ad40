"""The man pages that are made for a build."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.cli.arguments import build_parser
from cvmfs_snapshotter.entrypoints.cli.grammar import Grammar, grammar_of
from tests.harness.parts import ROOT, find_all

PROGRAM = grammar_of(build_parser())
AUTUMN = "1700000000"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the pages."""
    directory = tmp_path_factory.mktemp("man") / "man1"
    write(directory)
    return directory


def write(directory: Path) -> None:
    """Run the script with a date."""
    command = [sys.executable, f"{ROOT}/script/gen_man.py", str(directory)]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": AUTUMN})


def page(pages: Path, command: Grammar) -> Path:
    """Give the page of a command."""
    return pages / f"{'-'.join(('cvmfs-snapshotter', *command.words))}.1"


def rendered(path: Path) -> str:
    """Give a page as a terminal shows it, without bold and lines below words."""
    command = [str(find_all().mandoc), "-Tascii", "-O", "width=200", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    plain = done.stdout
    while (at := plain.find("\b")) >= 0:
        plain = plain[: at - 1] + plain[at + 1 :]
    return plain


def test_every_command_has_a_page(pages: Path) -> None:
    """The program has one too, and nothing else has."""
    assert sorted(page(pages, one) for one in (PROGRAM, *PROGRAM.commands)) == sorted(
        pages.iterdir()
    )


def test_the_pages_are_valid(pages: Path) -> None:
    """mandoc, the strictest reader of them, finds nothing that a reader could see."""
    command = [str(find_all().mandoc), "-Tlint", "-Wwarning", *map(str, sorted(pages.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", PROGRAM.commands, ids=lambda one: one.words[0])
def test_all_of_help_is_there(pages: Path, command: Grammar) -> None:
    """Flags, and the lines of exit status and examples, to be copied as they are."""
    shown = rendered(page(pages, command))

    assert command.summary in shown
    assert "2023-11-14" in shown
    for one in command.every():
        for flag in one.flags:
            assert ", ".join(flag.names) in shown
        for line in one.epilog.splitlines():
            if line.startswith("  "):
                assert line.strip() in shown


def test_the_program_names_its_commands(pages: Path) -> None:
    """Its page has each with its summary, and where to read on."""
    shown = rendered(page(pages, PROGRAM))

    for command in PROGRAM.commands:
        assert command.summary in shown
        assert f"cvmfs-snapshotter-{command.words[0]}(1)" in shown


def test_the_same_again(pages: Path, tmp_path: Path) -> None:
    """With one date the pages are the same, byte for byte."""
    write(tmp_path / "again")

    for path in pages.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
