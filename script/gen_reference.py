"""Write docs/reference.md, all commands with their flags, from what the commands' parser knows."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from cvmfs_snapshotter.entrypoints.cli.arguments import build_parser
from cvmfs_snapshotter.entrypoints.cli.grammar import Grammar, Taken, grammar_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference.md"

HEAD = """\
<!-- Written by script/gen_reference.py from the parser of the commands: do not edit. -->

# All flags

What `--help` of each command tells, on one page; the man pages say the same. Outputs, keys of
`--json` and what the exit statuses have in common are on [Commands](commands.md). Flags may have
one dash or two. `-h`, `--help` and `--version`, which every command takes, are left out.
"""

EVERYWHERE = ("--help", "--version")


def main() -> int:
    """Parse the command line and do as it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; 1 when out of date")
    check = parser.parse_args().check

    new = page()
    if PAGE.exists() and PAGE.read_text() == new:
        return 0
    print(f"{'out of date' if check else 'updated'}: {PAGE.relative_to(ROOT)}")
    if not check:
        PAGE.write_text(new)
    return 1 if check else 0


def page() -> str:
    """Write the page."""
    program = grammar_of(build_parser())
    lines = [HEAD, "| command | what it does |", "|---|---|"]
    lines += [
        f"| [`{one.words[-1]}`](#{one.words[-1]}) | {_cell(one.summary)} |"
        for one in program.commands
    ]
    for command in program.commands:
        for one in command.every():
            lines += ["", *_section(one)]
    return "\n".join((*lines, ""))


def _section(command: Grammar) -> Iterator[str]:
    yield f"{'#' * (1 + len(command.words))} {' '.join(command.words)}"
    yield ""
    yield _escaped(command.description)
    rows = [(f"`{_values(one)}`", _help(one)) for one in command.arguments]
    rows += [
        (_names(flag), _help(flag))
        for flag in command.flags
        if not set(flag.names) & set(EVERYWHERE)
    ]
    if rows and not command.commands:
        yield ""
        yield "| flag or argument | meaning |"
        yield "|---|---|"
        yield from (f"| {names} | {meaning} |" for names, meaning in rows)
    for block in command.epilog.strip("\n").split("\n\n"):
        yield from _block(block.strip("\n"))


def _block(block: str) -> Iterator[str]:
    """Give a paragraph of an epilog, or a heading with lines to be copied below it."""
    first, *lines = block.split("\n")
    if first.endswith(":") and lines and all(line.startswith("  ") for line in lines):
        heading = f"{first[0].upper()}{first[1:]}"
        yield from ("", heading, "", "```text", *(line[2:] for line in lines), "```")
    elif first:
        yield from ("", *(_escaped(line) for line in (first, *lines)))


def _names(flag: Taken) -> str:
    value = f" {_values(flag)}" if flag.value else ""
    return ", ".join(f"`{name}{value}`" for name in flag.names)


def _values(taken: Taken) -> str:
    """Give what stands for the value; a bar would end the cell."""
    return taken.value.replace("|", "` or `")


def _help(taken: Taken) -> str:
    text = f"{taken.help}; may be given several times" if taken.several else taken.help
    return _cell(text)


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;")


if __name__ == "__main__":
    raise SystemExit(main())
