"""From PullImage to the container's first output: layers on the source, or in a registry."""

import random
import subprocess
import time
from contextlib import ExitStack

from tests.harness import parts, samples
from tests.harness.containerd import Containerd
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
FIGURES = (
    (PULL, "s"),
    ("PullImage to the container's first output", "s"),
    ("diff of the container, for a commit", "s"),
    ("downloaded", "MB"),
)


def measure(stand: Stand, plan: Plan) -> list[Single]:
    """Pull the same image in turns through our daemon and with containerd's own snapshotter."""
    if not plan.wants(SECTION):
        return []
    image = _image(plan.image_mib)
    base = stand.workspace.base
    seen: dict[str, list[tuple[float, ...]]] = {OURS: [], DOWNLOADED: []}
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
        nodes = {OURS: ours.containerd, DOWNLOADED: peer}
        for containerd in nodes.values():
            # Its image is not what is measured.
            containerd.cri.pull(registry.reference(samples.sandbox()))
        for _ in range(ROUNDS):
            for name, containerd in nodes.items():
                registry.reset()
                times = _pull_and_run(containerd, reference)
                seen[name].append((*times, sum(registry.downloaded().values()) / 1e6))
                containerd.cri.remove_image(reference)
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


def _pull_and_run(containerd: Containerd, reference: str) -> tuple[float, float, float]:
    cri = containerd.cri
    # The pod is there before: a kubelet makes it while, or before, it pulls.
    pod = cri.run_pod()
    try:
        started = time.perf_counter()
        cri.pull(reference)
        pulled = time.perf_counter() - started
        command = "cat /data/first; echo changed > /data/changed"
        container = cri.create(pod, reference, "sh", "-c", command)
        cri.start(container)
        wait_until(
            "the container's first output",
            lambda: container.log.exists() and cri.output(container)[0],
        )
        shown = time.perf_counter() - started
        cri.wait(container)
        return pulled, shown, _seconds_to_diff(containerd, container.id)
    finally:
        cri.remove_pod(pod)


def _seconds_to_diff(containerd: Containerd, container: str) -> float:
    """Time what a commit of a container is made of: the archive of what it has changed."""
    ctr = containerd.ctr()
    command = [
        *(str(ctr.program), "--address", str(ctr.socket), "--namespace", ctr.namespace),
        *("snapshots", "--snapshotter", containerd.snapshotter, "diff", container),
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


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
