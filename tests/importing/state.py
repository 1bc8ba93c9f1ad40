"""An old state that nobody uses, to be imported in all ways."""

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.snapshot import Snapshot
from cvmfs_snapshotter.entrypoints import databases
from cvmfs_snapshotter.entrypoints.cli import main


@attrs.frozen
class State:
    """A copy of an old state, and where it is to go.

    Attributes:
        directory: everything is in here.
    """

    directory: Path

    @classmethod
    def copy(cls, original: Path, layers: Path, directory: Path) -> "State":
        """Copy the old state to where the Go snapshotter would have it."""
        made = cls(directory)
        made.root.mkdir(mode=0o700)
        subprocess.run(["cp", "-a", "--no-target-directory", original, made.base], check=True)
        made.config.write_text(f'[[source]]\nname = "s"\nkind = "directory"\npath = "{layers}"\n')
        return made

    @property
    def root(self) -> Path:
        """The root directory of both, as by default."""
        return self.directory / "root"

    @property
    def base(self) -> Path:
        """The old state."""
        return self.root / "snapshotter"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / "config.toml"

    @property
    def socket(self) -> Path:
        """The daemon's socket, on which nobody is."""
        return self.directory / "s"

    def run(self, *flags: str) -> int:
        """Run the command."""
        places = ("--root", str(self.root), "--from", str(self.root))
        more = ("--config", str(self.config), "--address", str(self.socket))
        return main(["import", *places, *more, *flags])

    def snapshots(self) -> list[Snapshot]:
        """Give what is recorded here."""
        return databases.read(
            str(self.root), lambda records: list(records.page(Pins(), None, 10_000))
        )

    def tree(self) -> list[str]:
        """Give every path of the old state, and where links lead to."""
        return sorted(
            f"{path.relative_to(self.base)} {path.readlink() if path.is_symlink() else ''}"
            for path in self.base.rglob("*")
        )

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Lock the old database as bbolt does while a snapshotter runs."""
        with (self.base / "metadata.db").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
