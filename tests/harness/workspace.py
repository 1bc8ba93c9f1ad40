"""The directory that a run works in, and the end of everything that it started."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import attrs

from tests.harness import leftovers, mounts
from tests.harness.cgroups import Cgroup
from tests.harness.processes import kill_and_wait

PREFIX = "cvmfs-sn-"
"""Short, because sockets lie below: their paths have at most 107 bytes (unix(7))."""


@attrs.frozen
class Workspace:
    """A directory of the run, and the names that follow from it.

    Attributes:
        base: The directory; its path is short enough for sockets in it.
    """

    base: Path
    _before: leftovers.Machine

    @classmethod
    def make(cls) -> Self:
        """Make a directory in the machine's directory for temporary files."""
        before = leftovers.Machine.now()
        base = Path(tempfile.mkdtemp(prefix=PREFIX))
        # Users of containers, who are not root, have to pass through it.
        base.chmod(0o755)
        return cls(base, before)

    @property
    def cgroup(self) -> Cgroup:
        """Above the cgroups of everything that the run starts in pods."""
        return Cgroup(f"/{self.base.name}")

    def sweep(self) -> None:
        """Kill, unmount and remove everything that is left of the run, in whatever state it is.

        Raises:
            AssertionError: Something is left nevertheless; the message names it.
        """
        sweep(self.base, self.cgroup)
        if self.base.exists():
            shutil.rmtree(self.base)
        if left := leftovers.find(self.base, self.cgroup, self._before):
            raise AssertionError("the run left behind:\n" + "\n".join(left))


@contextmanager
def workspace() -> Iterator[Workspace]:
    """Give a workspace and sweep it at the end of the block.

    Raises:
        AssertionError: As `Workspace.sweep`.
    """
    made = Workspace.make()
    try:
        yield made
    finally:
        made.sweep()


def sweep(directory: Path, cgroup: Cgroup) -> None:
    """End everything that was started below a directory; leave the files there alone.

    Args:
        cgroup: Above the cgroups of the pods; removed.

    Raises:
        subprocess.CalledProcessError: Something could not be unmounted.
        WaitError: A process or a cgroup did not go away.
    """
    # Shims first: they start other processes to take away what ends. And again, because a process
    # that was just being started shows itself late.
    while found := leftovers.of_base(directory):
        kill_and_wait([pid for pid, _ in found])
    cgroup.kill()
    mounts.unmount_below(directory)
    cgroup.remove()
    # A shim that was killed leaves its socket; the directory of its task tells where. A containerd
    # is at most two levels down, and nobody changes anything here any more.
    for levels in ("", "*/", "*/*/"):
        for address in directory.glob(f"{levels}state/io.containerd.runtime.v2.task/*/*/address"):
            Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)
    leftovers.remove_empty()
