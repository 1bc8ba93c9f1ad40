"""Scripts that make shells complete the commands.

In each, the words that name a command are found first: ``''`` stands for the program itself,
``' db check'`` for a command below another one. Everything else follows from them.
"""

from collections.abc import Iterable, Iterator

from .failing import PROGRAM
from .grammar import Grammar, Taken

_FUNCTION = PROGRAM.replace("-", "_")

_BASH_HEAD = f"""\
# Completion of {PROGRAM} for bash, made by `{PROGRAM} completion bash`.
_{_FUNCTION}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
    local place='' word words='' files=''
    # bash takes --flag=value for three words.
    if [[ $current == = ]]; then
        current=''
    elif [[ $previous == = ]]; then
        previous=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$place $word" in
            {{places}}) place+=" $word" ;;
        esac
    done
    case "$place $previous" in
"""
_BASH_TAIL = f"""\
    esac
    mapfile -t COMPREPLY < <(
        compgen -W "$words" -- "$current"
        if [[ $files && $current != -* ]]; then compgen -f -- "$current"; fi
    )
    if [[ $files ]]; then compopt -o filenames 2>/dev/null; fi
}}
complete -F _{_FUNCTION} {PROGRAM}
"""

_ZSH_HEAD = f"""\
#compdef {PROGRAM}
# Completion of {PROGRAM} for zsh, made by `{PROGRAM} completion zsh`.
_{_FUNCTION}() {{
    local place='' word previous=${{words[CURRENT - 1]}} files=''
    local -a found
    if [[ $PREFIX == --*=* ]]; then
        previous=${{PREFIX%%=*}}
        compset -P '*='
    fi
    for word in "${{(@)words[2,CURRENT - 1]}}"; do
        case "$place $word" in
            ({{places}}) place+=" $word" ;;
        esac
    done
    case "$place $previous" in
"""
_ZSH_TAIL = f"""\
    esac
    if (( $#found )); then _describe '{PROGRAM}' found; fi
    if [[ -n $files && $PREFIX != -* ]]; then _files; fi
}}
if [[ $funcstack[1] == _{PROGRAM} ]]; then
    _{_FUNCTION} "$@"
elif (( $+functions[compdef] )); then
    compdef _{_FUNCTION} {PROGRAM}
fi
"""

_FISH_HEAD = f"""\
# Completion of {PROGRAM} for fish, made by `{PROGRAM} completion fish`.
function __{_FUNCTION}_at
    set -l place ''
    for word in (commandline -opc)[2..-1]
        switch "$place $word"
            case {{places}}
                set place "$place $word"
        end
    end
    test "$place" = "$argv[1]"
end
complete -c {PROGRAM} -f
"""


def script_for(shell: str, grammar: Grammar) -> str:
    """Write the script for a shell.

    Args:
        shell: ``bash``, ``zsh`` or ``fish``.
        grammar: what the program takes.
    """
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](grammar)


def _place(command: Grammar) -> str:
    return "".join(f" {word}" for word in command.words)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _places(grammar: Grammar, separator: str) -> str:
    named = [command for command in grammar.every() if command.words]
    return separator.join(_quoted(_place(command)) for command in named)


def _values(grammar: Grammar) -> Iterator[tuple[str, Taken]]:
    # What stands before a value, and the flag whose value it is.
    for command in grammar.every():
        for flag in command.flags:
            if flag.value:
                before = (_quoted(f"{_place(command)} {name}") for name in flag.names)
                yield " | ".join(before), flag


def _bash(grammar: Grammar) -> str:
    lines = []
    for before, flag in _values(grammar):
        words = f"words={_quoted(' '.join(flag.choices))} files={'1' if flag.is_file else ''}"
        lines.append(f"        {before}) {words} ;;")
    lines += ["        *)", '            case "$place" in']
    for command in grammar.every():
        words = " ".join(word for word, _ in _words(command))
        files = "1" if _takes_files(command) else ""
        lines.append(
            f"                {_quoted(_place(command))}) words={_quoted(words)} files={files} ;;"
        )
    lines += ["            esac", "            ;;", ""]
    return _BASH_HEAD.replace("{places}", _places(grammar, " | ")) + "\n".join(lines) + _BASH_TAIL


def _zsh(grammar: Grammar) -> str:
    lines = []
    for before, flag in _values(grammar):
        found = " ".join(_quoted(choice) for choice in flag.choices)
        lines.append(f"        ({before}) found=({found}) files={'1' if flag.is_file else ''} ;;")
    lines += ["        (*)", '            case "$place" in']
    for command in grammar.every():
        lines.append(f"                ({_quoted(_place(command))})")
        lines.append("                    found=(")
        lines += [
            f"                        {_quoted(f'{word}:{said}' if said else word)}"
            for word, said in _words(command)
        ]
        lines.append("                    )")
        lines.append(f"                    files={'1' if _takes_files(command) else ''}")
        lines.append("                    ;;")
    lines += ["            esac", "            ;;", ""]
    return _ZSH_HEAD.replace("{places}", _places(grammar, "|")) + "\n".join(lines) + _ZSH_TAIL


def _words(command: Grammar) -> Iterator[tuple[str, str]]:
    for below in command.commands:
        yield below.words[-1], below.summary
    for argument in command.arguments:
        yield from ((choice, "") for choice in argument.choices)
    for flag in command.flags:
        yield from ((name, flag.help) for name in flag.names if name.startswith("--"))


def _takes_files(command: Grammar) -> bool:
    return any(argument.is_file for argument in command.arguments)


def _fish(grammar: Grammar) -> str:
    lines = [line for command in grammar.every() for line in _fish_command(command)]
    return _FISH_HEAD.replace("{places}", _places(grammar, " ")) + "".join(
        f"{each}\n" for each in lines
    )


def _fish_command(command: Grammar) -> Iterable[str]:
    # Two levels of quotes: the condition is a command of its own.
    begin = f'complete -c {PROGRAM} -n "__{_FUNCTION}_at {_quoted(_place(command))}"'
    for below in command.commands:
        yield f"{begin} -a {below.words[-1]} -d {_fish_quoted(below.summary)}"
    for argument in command.arguments:
        if argument.choices:
            yield f"{begin} -a {_fish_quoted(' '.join(argument.choices))}"
        if argument.is_file:
            yield f"{begin} -F"
    for flag in command.flags:
        names = " ".join(
            f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in flag.names
        )
        value = ""
        if flag.is_file:
            value = " -r -F"
        elif flag.value:
            value = f" -x -a {_fish_quoted(' '.join(flag.choices))}" if flag.choices else " -x"
        yield f"{begin} {names}{value} -d {_fish_quoted(flag.help)}"


def _fish_quoted(text: str) -> str:
    # In fish's single quotes a backslash means something before a quote or another one.
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
