"""From PullImage to the container's first output: layers on the source, or in a registry."""

import random
import time
from contextlib import ExitStack

from tests.harness import parts, samples
from tests.harness.containerd import Containerd
from tests.harness.cri import Cri
from tests.harness.images import Image
from tests.harness.layers import Layer, directory, file, layer
from tests.harness.node import node
from tests.harness.processes import wait_until
from tests.harness.registry import Registry

from .plan import Plan
from .results import Single
from .servers import OURS
from .stand import Stand

SECTION = "pull"
DOWNLOADED = "containerd 1.6.20 overlayfs, downloaded"
LAYERS = 10
ROUNDS = 3
FILE = 256 * 1024
PULL = "PullImage"
FIGURES = ((PULL, "s"), ("PullImage to the container's first output", "s"), ("downloaded", "MB"))


def measure(stand: Stand, plan: Plan) -> list[Single]:
    """Pull the same image in turns through our daemon and with containerd's own snapshotter."""
    if not plan.wants(SECTION):
        return []
    image = _image(plan.image_mib)
    base = stand.workspace.base
    seen: dict[str, list[tuple[float, float, float]]] = {OURS: [], DOWNLOADED: []}
    with ExitStack() as stack:
        registry = Registry.make(parts.find(), base / "registry")
        stack.callback(registry.stop)
        registry.start()
        registry.push(samples.sandbox())
        reference = registry.push(image)
        ours = stack.enter_context(node(stand.workspace, "node", registry, image.layers))
        peer = Containerd.make(
            parts.find(),
            base / "peer",
            stand.workspace.cgroup.below("peer"),
            registry=registry.host,
            sandbox=registry.reference(samples.sandbox()),
        )
        stack.callback(peer.stop)
        peer.start()
        cris = {OURS: ours.containerd.cri, DOWNLOADED: peer.cri}
        for cri in cris.values():
            # Its image is not what is measured.
            cri.pull(registry.reference(samples.sandbox()))
        for _ in range(ROUNDS):
            for name, cri in cris.items():
                registry.reset()
                pulled, shown = _pull_and_run(cri, reference)
                megabytes = sum(registry.downloaded().values()) / 1e6
                seen[name].append((pulled, shown, megabytes))
                cri.remove_image(reference)
    found = []
    for name, runs in seen.items():
        found += [
            Single.of(SECTION, what, name, [run[place] for run in runs], unit)
            for place, (what, unit) in enumerate(FIGURES)
        ]
    size = sum(len(each.blob) for each in image.layers) / 1e6
    unpacked = sum(len(each.archive) for each in image.layers) / 1e6
    found += [
        Single.of(SECTION, "size of the image, compressed", "image", [size], "MB"),
        Single.of(SECTION, "size of the image, unpacked", "image", [unpacked], "MB"),
    ]
    return found


def _pull_and_run(cri: Cri, reference: str) -> tuple[float, float]:
    # The pod is there before: a kubelet makes it while, or before, it pulls.
    pod = cri.run_pod()
    try:
        started = time.perf_counter()
        cri.pull(reference)
        pulled = time.perf_counter() - started
        container = cri.create(pod, reference, "cat", "/data/first")
        cri.start(container)
        wait_until(
            "the container's first output",
            lambda: container.log.exists() and cri.output(container)[0],
        )
        return pulled, time.perf_counter() - started
    finally:
        cri.remove_pod(pod)


def _image(mebibytes: int) -> Image:
    return Image(
        "bench:latest",
        tuple(_layer(number, mebibytes * 1024 * 1024 // LAYERS) for number in range(LAYERS)),
    )


def _layer(number: int, size: int) -> Layer:
    # Half of each file compresses away, as programs do.
    chance = random.Random(number)  # noqa: S311 - the same image in every run
    files = [
        file(f"data/{number}/{each}", chance.randbytes(FILE // 2) + bytes(FILE // 2))
        for each in range(size // FILE)
    ]
    if number == 0:
        base = samples.base("bench")
        return Layer((*base.entries, file("data/first", "first\n"), directory("data/0"), *files))
    return layer(directory("data"), directory(f"data/{number}"), *files)
