"""A cgroup of our own, above those of all pods that a run starts."""

import os
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.harness.processes import kill_and_wait, wait_until

ROOT = Path("/sys/fs/cgroup")


@attrs.frozen
class Cgroup:
    """A path that container runtimes may make cgroups below, in all hierarchies (v1 and v2).

    Attributes:
        path: Absolute, as the CRI wants it in `cgroup_parent`.
    """

    path: str

    def below(self, name: str) -> "Cgroup":
        """Name a cgroup below this one."""
        return Cgroup(f"{self.path}/{name}")

    def kill(self) -> None:
        """Kill all processes in it."""
        pids = {
            int(pid)
            for directory in self.directories()
            for pid in (directory / "cgroup.procs").read_text().split()
        }
        kill_and_wait(sorted(pids))

    def remove(self) -> None:
        """Remove it from all hierarchies.

        Raises:
            WaitError: The kernel still refuses some seconds after its processes have gone.
        """
        wait_until(f"the cgroup {self.path} is gone", self._try_to_remove, 10.0)

    def _try_to_remove(self) -> bool:
        for directory in list(self.directories()):
            try:
                directory.rmdir()
            except FileNotFoundError:
                continue
            except OSError:  # a process that has ended is still being taken away
                return False
        return True

    def directories(self) -> Iterator[Path]:
        """Tell its directories in all hierarchies, the deepest first."""
        name = self.path.removeprefix("/")
        for root in (ROOT / name, *ROOT.glob(f"*/{name}")):
            for directory, _, _ in os.walk(root, topdown=False):
                yield Path(directory)
