"""Where servers are measured: a directory on disk, one on tmpfs, and a tree with layers."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from tests.harness.layers import Layer, directory, file, layer
from tests.harness.repository import Repository
from tests.harness.workspace import Workspace, workspace

DISK: Final = "disk"
TMPFS: Final = "tmpfs"

LAYERS = 60
"""Layers on the source: enough for thousands of different chains."""


@attrs.frozen
class Stand:
    """A place to measure in.

    Attributes:
        workspace: Ends everything that is started in it.
        media: By name, a directory on that kind of file system.
        source: Root of the tree with layers.
        layers: Those that are on it.
        described: File that names them for the client.
    """

    workspace: Workspace
    media: dict[str, Path]
    source: Path
    layers: tuple[Layer, ...]
    described: Path

    def directory(self, medium: str, name: str) -> Path:
        """Give the path of a new directory on a medium."""
        return self.media[medium] / name


@contextmanager
def stand(disk: Path) -> Iterator[Stand]:
    """Give a stand for the time of the block.

    Args:
        disk: A directory on the disk that is measured.

    Raises:
        RuntimeError: It is on a tmpfs.
    """
    kind = subprocess.run(
        ["stat", "--file-system", "--format=%T", disk], capture_output=True, text=True, check=True
    ).stdout.strip()
    if kind == "tmpfs":
        raise RuntimeError(f"{disk} is no disk but a tmpfs; name another directory with --disk")
    tempfile.tempdir = str(disk)
    with workspace() as made:
        media = {DISK: made.base / "d", TMPFS: made.base / "t"}
        for path in media.values():
            path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "bench", media[TMPFS]], check=True)
        repository = Repository.make(made.base / "source")
        layers = tuple(_layer(number) for number in range(LAYERS))
        repository.publish(*layers)
        described = made.base / "layers.json"
        described.write_text(
            json.dumps([{"digest": each.digest, "diff_id": each.diff_id} for each in layers])
        )
        yield Stand(made, media, repository.path, layers, described)


def filesystem_of(path: Path) -> str:
    """Tell the type of the file system that a directory is on, as mount(8) calls it."""
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _layer(number: int) -> Layer:
    names = [f"opt/part{number}", "etc"]
    return layer(
        directory("opt"),
        *(directory(name) for name in names),
        *(file(f"{name}/{number}-{each}", f"{each}\n") for name in names for each in range(5)),
    )
