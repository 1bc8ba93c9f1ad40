"""Images that containerd's own unpacking on overlayfs shows otherwise than the specification says.

They are left out where containerd is a witness; ``test_deviations`` has one of each kind.
"""

from collections.abc import Sequence

from tests.harness.layers import Kind, Layer

from .oracle import OPAQUE, WHITEOUT, tree_of


def leaves_ghosts(layers: Sequence[Layer]) -> bool:
    """Tell whether a whiteout lies in a directory that hides nothing of the layers below.

    Such a directory is not merged, and overlayfs lists a whiteout in it by name, although there is
    no such file.

    Args:
        layers: of an image, the lowest first.
    """
    for number, layer in enumerate(layers):
        below = tree_of(layers[:number])
        marks = [entry.path.rpartition("/") for entry in layer.entries]
        opaque = {parent for parent, _, name in marks if name == OPAQUE}
        for parent, _, name in marks:
            if not name.startswith(WHITEOUT) or name == OPAQUE:
                continue
            inside_opaque = any(f"{parent}/".startswith(f"{above}/") for above in opaque)
            merged = parent in below and below[parent].kind is Kind.DIRECTORY
            if parent and (inside_opaque or not merged):
                return True
    return False


def misreads_parents(layers: Sequence[Layer]) -> bool:
    """Tell whether a directory without an entry would be looked for in layers where it is not.

    containerd takes mode and owner of such a directory from the first layer below that has it on
    its own, also from one in which it is hidden by a layer between; and it gives up where a layer
    has something else than a directory on the way.

    Args:
        layers: of an image, the lowest first.
    """
    for number, layer in enumerate(layers):
        below = tree_of(layers[:number])
        own = {entry.path for entry in layer.entries if entry.kind is Kind.DIRECTORY}
        implied = {p for e in layer.entries for p in _ancestors(e.path)} - own
        for lower in layers[:number]:
            other, directories = _names(lower)
            for path in implied:
                if other & {path, *_ancestors(path)} or (path in directories - below.keys()):
                    return True
    return False


def _names(layer: Layer) -> tuple[set[str], set[str]]:
    """Give what is no directory in a layer, deleted names included, and what is one."""
    other, directories = set[str](), set[str]()
    for entry in layer.entries:
        directories.update(_ancestors(entry.path))
        parent, _, name = entry.path.rpartition("/")
        if entry.kind is Kind.DIRECTORY:
            directories.add(entry.path)
        elif name.startswith(WHITEOUT):
            name = name.removeprefix(WHITEOUT)
            other.add(f"{parent}/{name}" if parent else name)
        else:
            other.add(entry.path)
    return other, directories


def _ancestors(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]
