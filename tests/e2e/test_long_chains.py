"""Images with so many layers that links have to name them, pulled and run by containerd."""

import pytest

from tests.harness import samples
from tests.harness.images import Image
from tests.harness.layers import directory, file, layer
from tests.harness.node import Node

MANY, MORE = 15, 60
"""Layers whose paths fit into the options of a mount, and layers whose paths do not."""


def image_of(layers: int) -> Image:
    """Make an image in which each layer but the lowest has a file of its own."""
    tops = (
        layer(directory("data"), file(f"data/{number:03}", f"{number}\n"))
        for number in range(1, layers)
    )
    return Image(f"of:{layers}", (samples.base(f"of {layers}"), *tops))


@pytest.mark.parametrize("setup", ["1.6"], indirect=True)
@pytest.mark.parametrize(
    ("layers", "published", "linked"), [(MANY, MANY, 0), (MORE, MORE, MORE), (MORE, 20, MORE)]
)
def test_an_image_of_many_layers(node: Node, layers: int, published: int, linked: int) -> None:
    """A container sees the files of all layers, also after a restart, and removal takes all."""
    before = node.daemon.links()
    image = image_of(layers)
    node.repository.publish(*image.layers[:published])
    node.registry.push(image)
    reference = node.pull(image).reference
    show = ("sh", "-c", "cat /data/*")

    first = node.containerd.cri.run(reference, *show)
    numbers = [name for name in node.daemon.links() if name.isdecimal()]
    node.restart_daemon()
    second = node.containerd.cri.run(reference, *show)

    shown = "".join(f"{number}\n" for number in range(1, layers))
    assert (0, shown, "") == (first.code, first.stdout, first.stderr)
    assert first == second
    assert linked <= len(numbers)
    assert bool(linked) == bool(numbers)
    node.containerd.cri.remove_image(reference)
    assert before == node.daemon.links()
