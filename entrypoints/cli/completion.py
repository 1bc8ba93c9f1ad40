"""The command ``completion``."""

import argparse

from .flags import Commands

_EPILOG = """\
exit status:
  0  printed
  2  the shell is not known

examples:
  cvmfs-snapshotter completion bash > /etc/bash_completion.d/cvmfs-snapshotter
  cvmfs-snapshotter completion zsh > /usr/local/share/zsh/site-functions/_cvmfs-snapshotter
  cvmfs-snapshotter completion fish > /etc/fish/completions/cvmfs-snapshotter.fish
  source <(cvmfs-snapshotter completion bash)
"""


def add_completion(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "completion",
        help="print a script that makes a shell complete the commands",
        description="Print a script that makes a shell complete commands, flags and paths.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help="bash, zsh or fish"
    )
    parser.set_defaults(act=_completion)
    return parser


def _completion(arguments: argparse.Namespace) -> int:
    # The parser of all commands has this one in it.
    from .arguments import build_parser  # noqa: PLC0415
    from .completions import script_for  # noqa: PLC0415
    from .grammar import grammar_of  # noqa: PLC0415

    print(script_for(arguments.shell, grammar_of(build_parser())), end="")
    return 0
