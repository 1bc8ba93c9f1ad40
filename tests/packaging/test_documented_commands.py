"""What the documentation tells to type and to write down can be meant."""

import argparse
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.cli.arguments import COMMANDS, parse
from cvmfs_snapshotter.entrypoints.config import load_config
from cvmfs_snapshotter.entrypoints.containerd_config.toml import text as quoted
from tests.harness.parts import ROOT

PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
OURS = re.compile(
    r"(?:^|&& )(?:[$#] )?(?:docker exec (?:--\w+ )?\S+ )?(?:\S*/)?cvmfs-snapshotter ([a-z].*)"
)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
NAMES = "|".join(
    add(argparse.ArgumentParser().add_subparsers()).prog.split()[-1] for add in COMMANDS
)
MENTION = re.compile(rf"(?P<program>cvmfs-snapshotter )?(?P<call>(?:{NAMES})(?: .*)?)")
# What the shell would put in place, and what it would keep for itself.
PUT_IN, KEPT = re.compile(r'"\$\(.*?\)"'), re.compile(r" (?:>|\||#|&&) .*")
GENERATED = ("gen_config.py", "gen_reference.py")


def blocks(*languages: str) -> Iterator[tuple[str, str]]:
    """Give each block of some languages with the name of its page."""
    for page in PAGES:
        for language, text in BLOCK.findall(page.read_text()):
            if language in languages:
                yield page.name, text


def commands() -> Iterator[tuple[str, str]]:
    """Give each call of ours that stands in a block to be typed."""
    for page, text in blocks("sh", "console"):
        for line in text.replace("\\\n", " ").splitlines():
            if found := OURS.search(line):
                yield page, KEPT.sub("", PUT_IN.sub("KEY", found[1])).strip()


TYPED = sorted(set(commands()))


@pytest.mark.parametrize(("page", "command"), TYPED, ids=[" ".join(one) for one in TYPED])
def test_each_command_can_be_meant(page: str, command: str) -> None:
    """The parser takes it; names in capitals stand for something and are words as others."""
    words = ["2.1" if word == "RELEASE" else word for word in shlex.split(command)]

    assert callable(parse(words, as_daemon=False).act), page


def mentions() -> Iterator[tuple[str, str]]:
    """Give each call and each name of a command of ours that stands within a sentence."""
    for page in PAGES:
        for code in INLINE.findall(BLOCK.sub("", page.read_text())):
            found = MENTION.fullmatch(" ".join(code.split()))
            # Without the program's name it may be anybody's, unless it has a flag.
            if found and (found["program"] or " --" in found["call"]):
                yield page.name, KEPT.sub("", PUT_IN.sub("KEY", found["call"])).strip()


MENTIONED = sorted(set(mentions()))


@pytest.mark.parametrize(("page", "command"), MENTIONED, ids=[" ".join(m) for m in MENTIONED])
def test_each_mention_can_be_meant(
    page: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With flags or arguments it is a call as it stands; without, it names a command."""
    words = ["2.1" if word == "RELEASE" else word for word in shlex.split(command)]
    if all(word.islower() and not word.startswith("-") for word in words):
        with pytest.raises(SystemExit, match=r"^0$"):
            parse([*words, "--help"], as_daemon=False)
        assert f"usage: cvmfs-snapshotter {' '.join(words)} " in capsys.readouterr().out, page
    else:
        assert callable(parse(words, as_daemon=False).act), page


def test_mentions_are_found() -> None:
    """With the name of the program and without, and calls that need a flag."""
    found = {command for _, command in MENTIONED}

    assert {"doctor", "release SOURCE", "wishlist --json"} <= found
    assert "containerd-config --for RELEASE --pull transfer" in found
    assert len(MENTIONED) > 30


def test_there_are_commands() -> None:
    """Otherwise nothing would be looked at."""
    pages = {page for page, _ in TYPED}

    assert {"quickstart.md", "troubleshooting.md", "README.md"} <= pages
    assert len(TYPED) > 20


TOML = list(blocks("toml"))


@pytest.mark.parametrize(
    ("page", "text"), TOML, ids=[f"{page} {number}" for number, (page, _) in enumerate(TOML)]
)
def test_each_configuration_can_be_read(page: str, text: str, tmp_path: Path) -> None:
    """It is TOML; what is for the daemon has keys and values that it takes."""
    found = tomllib.loads(text)
    assert found, page

    if {"source", "repository", "metrics", "staged"} & set(found):
        file = tmp_path / "config.toml"
        file.write_text(text)
        assert load_config(str(file)).sources


def test_both_sorts_of_configuration_are_there() -> None:
    """Files of the daemon and files of containerd."""
    found = [set(tomllib.loads(text)) for _, text in TOML]

    assert any("source" in keys for keys in found)
    assert any("proxy_plugins" in keys for keys in found)


def test_each_piece_of_json_can_be_read() -> None:
    """Docker's configuration for one."""
    found = [json.loads(text) for _, text in blocks("json")]

    assert {"containerd-snapshotter": True} in [one.get("features") for one in found]


@pytest.mark.parametrize("script", GENERATED)
def test_the_generated_pages_are_current(script: str) -> None:
    """They are what the code says now."""
    done = subprocess.run(
        [sys.executable, ROOT / "script" / script, "--check"],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )

    assert (0, "") == (done.returncode, done.stdout + done.stderr)


def test_a_default_is_written_as_in_a_file() -> None:
    """The tables quote as TOML does."""
    page = (ROOT / "docs" / "configuration.md").read_text()

    assert f"| `{quoted('translate')}` | layers that delete" in page
