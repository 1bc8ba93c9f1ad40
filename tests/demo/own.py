"""The demonstration with images of its own: what should happen is known, and is checked."""

# ruff: noqa: T201 - printing is its job

from collections.abc import Callable, Sequence

import attrs

from tests.demo import table
from tests.harness import parts, samples
from tests.harness.images import Image
from tests.harness.node import Node, Pulled, node
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace


@attrs.frozen
class Stage:
    """An image, so many of its layers on the tree, and what should come of it.

    Attributes:
        published: So many of the lowest layers are on the tree.
        outcomes: "hit" or "miss" for each layer, the lowest first.
        show: Shell command that a container runs.
        shown: What it should print.
    """

    title: str
    image: Callable[[], Image]
    published: int
    outcomes: Sequence[str]
    show: str
    shown: str

    def downloads(self) -> list[int]:
        """Tell how many bytes should be downloaded of each layer.

        containerd downloads all layers from the first miss on, hits above it among them.
        """
        sizes = [len(layer.blob) for layer in self.image().layers]
        hits = [*self.outcomes, "miss"].index("miss")
        return [0] * hits + sizes[hits:]


STAGES = (
    Stage(
        "Image A, all five layers on the tree",
        samples.image_a,
        5,
        ("hit",) * 5,
        samples.SHOW_A,
        samples.SHOWN_BY_A,
    ),
    Stage(
        "Image A, the lowest two layers on the tree",
        samples.image_a,
        2,
        ("hit", "hit", "miss", "miss", "miss"),
        samples.SHOW_A,
        samples.SHOWN_BY_A,
    ),
    Stage(
        "Image A, no layer on the tree",
        samples.image_a,
        0,
        ("miss",) * 5,
        samples.SHOW_A,
        samples.SHOWN_BY_A,
    ),
    Stage(
        "Image B, all three layers on the tree; the topmost deletes files of the others",
        samples.image_b,
        3,
        ("hit", "hit", "hit"),
        samples.SHOW_B,
        samples.SHOWN_BY_B,
    ),
)


def show(workspace: Workspace) -> int:
    """Go through all stages, print what happens and check it.

    Returns:
        Exit status: 0 when everything was as it should be, otherwise 1.
    """
    registry = Registry.make(parts.find(), workspace.base / "registry").start()
    for image in (samples.sandbox(), samples.image_a(), samples.image_b()):
        registry.push(image)
    wrong = []
    for number, stage in enumerate(STAGES, 1):
        table.heading(f"{number}. {stage.title}")
        published = stage.image().layers[: stage.published]
        with node(workspace, f"stage-{number}", registry, published) as machine:
            found = _run(machine, stage)
        print("  " + ("WRONG: " + "; ".join(found) if found else "As it should be."), flush=True)
        wrong += [f"stage {number}: {each}" for each in found]
    registry.stop()

    table.heading("Result")
    for each in wrong or ["everything was as it should be"]:
        print(f"  {each}")
    return 1 if wrong else 0


def _run(machine: Node, stage: Stage) -> list[str]:
    """Pull and run the image of a stage; tell what was not as it should be."""
    image = stage.image()
    pulled = machine.pull(image)
    digests = [layer.digest for layer in image.layers]
    table.layers(list(map(table.Row, digests, pulled.decisions, pulled.downloaded)))
    result = machine.containerd.cri.run(pulled.reference, "sh", "-c", stage.show)
    table.output(result.stdout + result.stderr)
    wrong = _differences(stage, pulled)
    if (result.code, result.stdout, result.stderr) != (0, stage.shown, ""):
        wrong.append(f"the container ended with {result.code} and should print {stage.shown!r}")
    return wrong


def _differences(stage: Stage, pulled: Pulled) -> list[str]:
    wrong = []
    if pulled.outcomes != list(stage.outcomes):
        wrong.append(f"the decisions should be {', '.join(stage.outcomes)}")
    if pulled.downloaded != stage.downloads():
        wrong.append(f"the downloads should be {stage.downloads()}")
    return wrong
