"""What an image looks like: the rules of the OCI image specification for layers, nothing else.

The oracle knows no overlay and no file system. It takes the layers of an image as lists of entries
and says which files a container sees.
"""

from collections.abc import Iterable, Iterator

import attrs

from tests.harness.layers import Entry, Kind, Layer

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


@attrs.frozen
class Node:
    """One file of a container.

    Attributes:
        kind: what it is; a hard link counts as the file it names.
        mode: permission bits with setuid, setgid and sticky.
        uid: owner.
        gid: group.
        mtime: seconds since the epoch; None where no layer says it.
        content: of a file.
        target: of a symbolic link.
        device: of a device.
    """

    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: int | None
    content: bytes = b""
    target: str = ""
    device: tuple[int, int] = (0, 0)


Tree = dict[str, Node]

IMPLIED = Node(Kind.DIRECTORY, 0o755, 0, 0, None)
"""A directory that no layer has an entry for."""


class UnspecifiedError(Exception):
    """The specification does not say what such an image looks like."""


def tree_of(layers: Iterable[Layer]) -> Tree:
    """Say what a container of these layers sees.

    Args:
        layers: the lowest first.

    Returns:
        Every file by its path, the root left out.

    Raises:
        UnspecifiedError: a layer has something inside what is a file in the layers below.
    """
    tree: Tree = {}
    for layer in layers:
        own = {entry.path for entry in layer.entries if entry.kind is Kind.DIRECTORY}
        for entry in layer.entries:
            _delete(tree, entry)
        for entry in layer.entries:
            _make_parents(tree, entry, own)
            _add(tree, entry)
    return tree


def _delete(tree: Tree, entry: Entry) -> None:
    parent, _, name = entry.path.rpartition("/")
    if name == OPAQUE:
        # In the root it has no effect; the specification leaves that open.
        if parent:
            _remove_inside(tree, parent)
    elif name.startswith(WHITEOUT):
        path = _join(parent, name.removeprefix(WHITEOUT))
        tree.pop(path, None)
        _remove_inside(tree, path)


def _make_parents(tree: Tree, entry: Entry, own: set[str]) -> None:
    for parent in reversed(list(_ancestors(entry.path))):
        if parent not in tree:
            tree[parent] = IMPLIED
        elif tree[parent].kind is not Kind.DIRECTORY:
            raise UnspecifiedError(parent)
        if parent not in own:
            # What happens in a directory changes its time, unless the layer says it.
            tree[parent] = attrs.evolve(tree[parent], mtime=None)


def _add(tree: Tree, entry: Entry) -> None:
    if entry.path == "." or entry.path.rpartition("/")[2].startswith(WHITEOUT):
        return
    if entry.kind is not Kind.DIRECTORY:
        _remove_inside(tree, entry.path)
    tree[entry.path] = _node(tree, entry)


def _node(tree: Tree, entry: Entry) -> Node:
    if entry.kind is Kind.HARDLINK:
        return tree[entry.target]
    return Node(
        entry.kind,
        0o777 if entry.kind is Kind.SYMLINK else entry.mode,
        entry.uid,
        entry.gid,
        entry.mtime,
        entry.content,
        entry.target,
        entry.device,
    )


def _remove_inside(tree: Tree, directory: str) -> None:
    for path in [path for path in tree if path.startswith(directory + "/")]:
        del tree[path]


def _ancestors(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _join(parent: str, name: str) -> str:
    return f"{parent}/{name}" if parent else name
