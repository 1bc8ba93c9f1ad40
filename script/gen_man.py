"""Write the man pages of all commands into a directory, from what the commands' parser knows.

There is a page for the program and one for each command; commands below a command are on its page.
They are made for each build and are not kept in the repository, so that they cannot be out of
date. The date on them is that of `SOURCE_DATE_EPOCH`, as in all reproducible builds, or today.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

from cvmfs_snapshotter import __version__
from cvmfs_snapshotter.entrypoints.cli.arguments import build_parser
from cvmfs_snapshotter.entrypoints.cli.failing import PROGRAM
from cvmfs_snapshotter.entrypoints.cli.grammar import Grammar, Taken, grammar_of

# Characters that roff reads, or prints as typographic ones, and that a reader wants to copy.
ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


def main() -> None:
    """Read the arguments, write the pages."""
    parser = argparse.ArgumentParser(description="Write the man pages into a directory.")
    parser.add_argument("directory", type=Path, help="it is made if it is not there")
    directory: Path = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    now = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    program = grammar_of(build_parser(), summary=build_parser().description or "")
    pages = {name_of(page): page_of(page, program, date) for page in (program, *program.commands)}
    for name, text in pages.items():
        (directory / f"{name}.1").write_text(text)


def name_of(command: Grammar) -> str:
    """Give the name of a command's page."""
    return "-".join((PROGRAM, *command.words))


def page_of(command: Grammar, program: Grammar, date: str) -> str:
    """Write a page in roff, with the macros of man(7).

    Args:
        command: whose page it is.
        program: the whole program.
        date: of the page.
    """
    return "\n".join((*_lines(command, program, date), ""))


def _lines(command: Grammar, program: Grammar, date: str) -> Iterator[str]:
    title = name_of(command).upper()
    yield f'.TH {title} 1 "{date}" "{PROGRAM} {__version__}" "{PROGRAM}"'
    yield ".SH NAME"
    yield f"{_text(name_of(command))} \\- {_text(command.summary)}"
    yield ".SH SYNOPSIS"
    below = command.commands if command.words else ()
    for number, one in enumerate(below or (command,)):
        if number:
            yield ".br"
        yield _synopsis(one)
    yield ".SH DESCRIPTION"
    yield _text(command.description)
    paragraphs, sections = _epilog(command.epilog)
    for paragraph in paragraphs:
        yield ".PP"
        yield _text(paragraph)
    if command.words:
        yield from _options(command)
        yield from _below(command)
    else:
        yield ".SH COMMANDS"
        for one in command.commands:
            yield from _item(f"\\fB{_text(one.words[-1])}\\fR", one.summary)
        yield from _options(command)
    for heading, lines in sections:
        yield f".SH {heading.upper()}"
        yield from _as_it_is(lines)
    yield ".SH SEE ALSO"
    others = [one for one in (program, *program.commands) if one.words != command.words]
    chosen = others if not command.words else [program]
    yield ",\n".join(f".BR {_text(name_of(one))} (1)" for one in chosen).replace(",\n", " ,\n")


def _synopsis(command: Grammar) -> str:
    parts = [f"\\fB{_text(' '.join((PROGRAM, *command.words)))}\\fR", "[\\fIflag\\fR ...]"]
    if command.commands:
        parts.append("\\fIcommand\\fR ...")
    for argument in command.arguments:
        shown = f"\\fI{_text(argument.value)}\\fR"
        parts.append(f"[{shown} ...]" if argument.several else shown)
    return " ".join(parts)


def _options(command: Grammar) -> Iterator[str]:
    if command.arguments:
        yield ".SH ARGUMENTS"
        for argument in command.arguments:
            yield from _item(f"\\fI{_text(argument.value)}\\fR", argument.help)
    yield ".SH OPTIONS"
    for flag in command.flags:
        yield from _item(_flag(flag), flag.help)


def _below(command: Grammar) -> Iterator[str]:
    if command.commands:
        yield ".SH ACTIONS"
    for one in command.commands:
        yield f".SS {_text(' '.join(one.words))}"
        yield _text(one.description)
        for argument in one.arguments:
            yield from _item(f"\\fI{_text(argument.value)}\\fR", argument.help)
        for flag in one.flags:
            yield from _item(_flag(flag), flag.help)
        paragraphs, sections = _epilog(one.epilog)
        for paragraph in paragraphs:
            yield ".PP"
            yield _text(paragraph)
        for heading, lines in sections:
            yield ".PP"
            yield _text(f"{heading[0].upper()}{heading[1:]}:")
            yield from _as_it_is(lines)


def _flag(flag: Taken) -> str:
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in flag.names)
    return f"{names} \\fI{_text(flag.value)}\\fR" if flag.value else names


def _item(title: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield title
    yield _text(text)


def _as_it_is(lines: list[str]) -> Iterator[str]:
    yield ".nf"
    yield from (_text(line) for line in lines)
    yield ".fi"


def _epilog(epilog: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Take an epilog apart.

    Returns:
        Its paragraphs; and its sections, which have a heading with a colon above lines that begin
        with two spaces.
    """
    paragraphs, sections = [], []
    for block in epilog.strip("\n").split("\n\n"):
        first, *lines = block.strip("\n").split("\n")
        if first.endswith(":") and lines and all(line.startswith("  ") for line in lines):
            sections.append((first[:-1], [line[2:] for line in lines]))
        elif first:
            paragraphs.append(" ".join((first, *lines)))
    return paragraphs, sections


def _text(text: str) -> str:
    escaped = "".join(ESCAPES.get(character, character) for character in text)
    # A line must not begin like a request of roff.
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    main()
