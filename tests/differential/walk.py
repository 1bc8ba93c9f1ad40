"""Reading a mounted image back, in the terms of the oracle."""

import os
import stat
from pathlib import Path

from tests.differential.oracle import Node, Tree
from tests.harness.layers import Kind

_KINDS = {
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFREG: Kind.FILE,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER_DEVICE,
}


def walked(root: Path) -> Tree:
    """Read everything below a directory.

    Args:
        root: where the image is mounted.

    Returns:
        Every file by its path, the root left out.
    """
    tree: Tree = {}
    for directory, directories, files in os.walk(os.fsencode(root)):
        for name in directories + files:
            path = os.path.join(directory, name)  # noqa: PTH118 - names need not be text
            tree[os.fsdecode(os.path.relpath(path, os.fsencode(root)))] = _node(path)
    return tree


def _node(path: bytes) -> Node:
    found = os.lstat(path)
    kind = _KINDS[stat.S_IFMT(found.st_mode)]
    return Node(
        kind,
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        int(found.st_mtime),
        _content(path) if kind is Kind.FILE else b"",
        os.fsdecode(os.readlink(path))  # noqa: PTH115 - names need not be text
        if kind is Kind.SYMLINK
        else "",
        (os.major(found.st_rdev), os.minor(found.st_rdev))
        if kind is Kind.CHARACTER_DEVICE
        else (0, 0),
    )


def _content(path: bytes) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - names need not be text
        return file.read()


def differences(expected: Tree, found: Tree) -> list[str]:
    """Compare what should be there with what is.

    Args:
        expected: by the oracle; a time of None is not compared.
        found: by ``walked``.

    Returns:
        One line for each path that differs; none if the trees agree.
    """
    lines = []
    for path in sorted(expected.keys() | found.keys()):
        should, is_ = expected.get(path), found.get(path)
        if should is None or is_ is None:
            lines.append(f"{path!r}: {'missing' if is_ is None else 'should not be there'}")
            continue
        for field in ("kind", "mode", "uid", "gid", "mtime", "content", "target", "device"):
            left, right = getattr(should, field), getattr(is_, field)
            if left != right and not (field == "mtime" and left is None):
                lines.append(f"{path!r}: {field} should be {left!r}, is {right!r}")
    return lines
