"""Images that containerd's own unpacking on overlayfs shows otherwise than the specification says.

They are left out where containerd is a witness; ``test_deviations`` has one of each kind.
"""

from collections.abc import Sequence

from tests.harness.layers import Layer

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
            if parent and (parent not in below or inside_opaque):
                return True
    return False
