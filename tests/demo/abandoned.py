"""What runs have left that were killed before they could sweep: the next one sweeps it."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import FileIO
from pathlib import Path

from tests.harness.cgroups import Cgroup
from tests.harness.workspace import PREFIX, sweep

NAME = "supervised"
"""File in the directory of a run that is locked for as long as a process of the run lives."""


@contextmanager
def held(base: Path) -> Iterator[None]:
    """Keep others from sweeping a directory for the time of the block.

    A process that is forked meanwhile holds it as well, for as long as it lives; a program that is
    started does not.
    """
    new = base / f"{NAME}.new"
    with new.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Under the name that others look for it has never been without its lock.
        new.rename(base / NAME)
        yield


def sweep_abandoned() -> Iterator[Path]:
    """Sweep the directories of runs of which no process lives any more, and give each of them.

    Raises:
        subprocess.CalledProcessError: something could not be unmounted.
        WaitError: a process or a cgroup did not go away.
    """
    for mark in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{NAME}")):
        base = mark.parent
        # Everybody may make such directories, and sweeping kills and deletes.
        if base.is_symlink() or base.stat().st_uid != os.geteuid():
            continue
        with closing(FileIO(mark)) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            sweep(base, Cgroup(f"/{base.name}"))
            shutil.rmtree(base)
            yield base
