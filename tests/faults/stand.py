"""The layers of the tests of faults, and where they are."""

from pathlib import Path

from tests.harness.fuse.file_system import FileSystem
from tests.harness.layers import Layer, directory, file, layer, symlink

LAYERS = tuple(
    layer(
        directory("data"),
        file(f"data/{number}", f"{number}\n"),
        symlink(f"data/link-{number}", str(number)),
    )
    for number in range(6)
)
ABSENT = layer(file("absent", "in no repository"))


def place(of: Layer) -> str:
    """Tell the path of a layer's files in the file system."""
    return f"/.layers/{of.hexadecimal[:2]}/{of.hexadecimal}/layerfs"


def files(cvmfs: FileSystem, of: Layer) -> Path:
    """Tell where the files of a layer are."""
    return cvmfs.point / place(of)[1:]


def listed(directory: Path) -> set[str]:
    """Tell the names in a directory."""
    return {path.name for path in directory.iterdir()}
