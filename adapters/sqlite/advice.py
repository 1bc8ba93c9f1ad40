"""What an operator can do about a database that cannot be used."""

import shlex
from pathlib import Path

from .backup import backups_in

PROGRAM = "cvmfs-snapshotter"


def command(path: Path, *words: str) -> str:
    """Give a command about the database of a state directory, ready to be run.

    Args:
        path: of the database.
        words: of the command, behind the program's name and ``db``.
    """
    root = f"--root={path.parent}"
    return shlex.join((PROGRAM, "db", words[0], root, *words[1:]))


def ways_on(path: Path) -> str:
    """Say how to go on without the database that is there.

    Args:
        path: of the database.

    Returns:
        A sentence that names the newest backup, if there is any, and the command.
    """
    backups = backups_in(path.parent / "backups", path.name)
    if backups:
        return (
            f"To go back to the newest of {len(backups)} backups: "
            f"{command(path, 'restore', str(backups[-1]))}"
        )
    return (
        f"There is no backup of it in {path.parent / 'backups'}. To go on with empty records, "
        f"move {path.name} and the files beside it away, remove this snapshotter's containers and "
        "images from containerd, and start with --fresh"
    )
