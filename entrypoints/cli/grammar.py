"""What the parser of the commands takes, as values: for completion and for man pages."""

import argparse
from collections.abc import Iterator

import attrs

from cvmfs_snapshotter.adapters.logs.levels import LEVELS

_FILES = frozenset({"PATH", "FILE"})
"""Names of values that are files or directories."""

_WORDS = {"LEVEL": tuple(LEVELS)}
"""What there is of values that argparse has no choices for, because they are taken in any case."""


@attrs.frozen
class Taken:
    """A flag, or an argument without a name.

    Attributes:
        names: of a flag; none for an argument.
        value: what its value is called; empty for a flag without one.
        choices: the words to offer for its value; none if that is open.
        help: what it means, in one sentence.
        several: whether an argument may be given several times, or not at all.
    """

    names: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    help: str
    several: bool = False

    @property
    def is_file(self) -> bool:
        """Whether its value is the path of something."""
        return self.value in _FILES


@attrs.frozen
class Grammar:
    """What one command takes.

    Attributes:
        words: that name it, without the program's name; none for the program itself.
        summary: it in a few words.
        description: what it does.
        epilog: what its help ends with: exit status and examples.
        flags: the flags that it takes.
        arguments: the arguments that it takes, in their order.
        commands: the commands below it.
    """

    words: tuple[str, ...]
    summary: str
    description: str
    epilog: str
    flags: tuple[Taken, ...]
    arguments: tuple[Taken, ...]
    commands: tuple["Grammar", ...]

    def every(self) -> Iterator["Grammar"]:
        """Give it and all that are below it, each before those below it."""
        yield self
        for command in self.commands:
            yield from command.every()


def grammar_of(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = (), summary: str = ""
) -> Grammar:
    """Read a parser.

    Args:
        parser: what reads the arguments of a command.
        words: that name the command.
        summary: the command in a few words.
    """
    flags: list[Taken] = []
    arguments: list[Taken] = []
    commands: list[Grammar] = []
    # argparse has no public way to what was added.
    for action in parser._actions:  # noqa: SLF001 - see above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - see above
            summaries = {c.dest: c.help or "" for c in action._choices_actions}  # noqa: SLF001 - see above
            commands += [
                grammar_of(below, (*words, name), summaries.get(name, ""))
                for name, below in action.choices.items()
            ]
        elif action.help != argparse.SUPPRESS:
            (flags if action.option_strings else arguments).append(_taken(parser, action))
    return Grammar(
        words,
        summary,
        parser.description or "",
        parser.epilog or "",
        tuple(flags),
        tuple(arguments),
        tuple(commands),
    )


def _taken(parser: argparse.ArgumentParser, action: argparse.Action) -> Taken:
    choices = tuple(str(choice) for choice in action.choices or ())
    value = "" if action.nargs == 0 else str(action.metavar or "|".join(choices) or action.dest)
    choices = choices or _WORDS.get(value, ())
    # As help prints it: with the default, which is a placeholder in the text.
    text = parser._get_formatter()._expand_help(action) if action.help else ""  # noqa: SLF001 - as above
    return Taken(
        tuple(action.option_strings), value, choices, text, several=action.nargs in {"*", "+"}
    )
