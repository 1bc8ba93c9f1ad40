"""containerd's own command-line client, for what the CRI does not show."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.harness.cgroups import Cgroup


class CtrError(AssertionError):
    """`ctr` ended with an error; the message is its own."""


@attrs.frozen
class Ctr:
    """`ctr` for one namespace of one containerd.

    Attributes:
        namespace: "k8s.io" has what the CRI does.
        directory: Where it works.
        hosts: Directory that tells how to speak with the registry.
        runc: The program that makes containers.
        cgroup: Above those of its containers.
    """

    program: Path
    socket: Path
    namespace: str
    directory: Path
    hosts: Path
    runc: Path
    cgroup: Cgroup

    def run(self, *arguments: str | os.PathLike[str]) -> str:
        """Run a command and return what it prints.

        Raises:
            CtrError: It ended with an error.
        """
        result = subprocess.run(
            [self.program, "--address", self.socket, "--namespace", self.namespace, *arguments],
            capture_output=True,
            check=False,
            cwd=self.directory,
            env={"PATH": "/usr/sbin:/usr/bin"},
            text=True,
            timeout=120,
        )
        if result.returncode != 0:
            raise CtrError(f"ctr {' '.join(map(str, arguments))}: {result.stderr.strip()}")
        return result.stdout

    def pull(self, reference: str, snapshotter: str, *more: str) -> None:
        """Pull an image and unpack it into a snapshotter.

        Args:
            more: Further arguments of `ctr images pull`.

        Raises:
            CtrError: It could not be pulled.
        """
        # Who speaks with the registry, `ctr` or the transfer service, differs; both need this.
        names = ("--snapshotter", snapshotter, "--hosts-dir", str(self.hosts))
        self.run("images", "pull", *names, *more, reference)

    def run_container(
        self, reference: str, snapshotter: str, name: str, *command: str, more: Sequence[str] = ()
    ) -> str:
        """Run a command in a container and return its output.

        Args:
            reference: Of an image that has been pulled.
            name: Of the container; it is removed afterwards.
            more: Further arguments of `ctr run`.

        Raises:
            CtrError: It could not be run, or ended with an error.
        """
        options = (
            *("--rm", "--snapshotter", snapshotter, "--cgroup", self.cgroup.below(name).path),
            *("--runc-binary", str(self.runc), "--runc-root", str(self.directory / "runc")),
            *("--fifo-dir", str(self.directory / "fifo")),
        )
        return self.run("run", *options, *more, reference, name, *command)

    def snapshots(self, snapshotter: str) -> dict[str, tuple[str, str]]:
        """Tell parent and kind ("Committed", "Active", "View") of each snapshot by its key."""
        table = self.run("snapshots", "--snapshotter", snapshotter, "list")
        found = {}
        for line in table.splitlines()[1:]:
            columns = line.split()
            # KEY, PARENT (may be empty), KIND; a key can have a space in it while it is unpacked.
            key, kind = columns[0], columns[-1]
            found[key] = (" ".join(columns[1:-1]), kind)
        return found

    def content(self) -> set[str]:
        """Tell the digests of all blobs in containerd's content store."""
        return set(self.run("content", "list", "--quiet").split())

    def images(self) -> set[str]:
        """Tell the references of all images."""
        return set(self.run("images", "list", "--quiet").split())

    def namespaces(self) -> set[str]:
        """Tell all namespaces."""
        return set(self.run("namespaces", "list", "--quiet").split())
