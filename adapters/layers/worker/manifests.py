"""What the publisher keeps of the manifests of images.

DUCC writes them to ``.metadata/<registry>/<repository>:<tag>/manifest.json``
(``ducc/cvmfs/cvmfs.go``), in a later transaction than the layers.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack

from .metadata import read_file
from .misses import ABSENT, FAILED, MissError
from .opening import open_below

_MOST_NAMES = 64
_ABSENT = "no manifest of this image is published"


def manifest_at(root: int, root_path: str, names: Sequence[str]) -> bytes:
    """Read the manifest of an image.

    Args:
        root: descriptor of the source's root, found healthy.
        root_path: its path, for messages.
        names: of the directories below ``.metadata``, one by one.

    Returns:
        What is written there, whatever it is.

    Raises:
        MissError: it is not there, or cannot be read.
    """
    if len(names) > _MOST_NAMES or any("/" in n or n in {"", ".", ".."} for n in names):
        raise MissError(FAILED, "the name of the image is not one")
    path, directory = root_path, root
    with ExitStack() as opened:
        for name in (".metadata", *names):
            path = f"{path}/{name}"
            directory = open_below(directory, name, path, _ABSENT)
            opened.callback(os.close, directory)
        content = read_file(directory, "manifest.json", f"{path}/manifest.json")
    if content is None:
        raise MissError(ABSENT, f"{path}/manifest.json does not exist: {_ABSENT}")
    return content
