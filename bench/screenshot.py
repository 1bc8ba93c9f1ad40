"""Prometheus' own page in a browser, with what a daemon does for a real containerd.

    python -m bench.screenshot docs/prometheus.png

For three minutes images are pulled, run and removed. At first none of their layers is published;
then all are; for some seconds their source is gone. `script/screenshot` gets what it needs.
"""

import itertools
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

from bench.browser import photograph
from bench.prometheus import Prometheus, free_port, panels
from tests.harness import mounts, parts, samples
from tests.harness.node import Node, node
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace, workspace

SECONDS = 180.0
PUBLISHED = 50.0
"""When the layers come to the source."""
AWAY = (110.0, 135.0)
"""When the source is away."""

PANELS = (
    "Decisions by reason",
    "Not downloaded, last day (uncompressed)",
    "Circuits that are not closed",
    "Time of calls, 99 of 100",
)
SIZE = (1240, 3190)


def main() -> None:
    """Run, and write the picture to the path that is given."""
    with workspace() as made:
        shutil.move(_run(made), sys.argv[1])


def _run(made: Workspace) -> Path:
    unpacked = _unpacked()
    registry = Registry.make(parts.find(), made.base / "registry").start()
    for image in (samples.sandbox(), samples.image_a(), samples.image_b()):
        registry.push(image)
    metrics = free_port()
    more = f'[metrics]\naddress = "127.0.0.1:{metrics}"\n'
    with node(made, "node", registry, policy=more) as machine:
        prometheus = Prometheus.start(made.base, metrics, unpacked / "prometheus-pages-2.42")
        _load(machine)
        picture = made.base / "picture.png"
        photograph(unpacked / "chromium", _page(prometheus.port), picture, SIZE)
        prometheus.stop()
    registry.stop()
    return picture


def _unpacked() -> Path:
    """Give the directory of what `script/parts` unpacks."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "cvmfs-snapshotter" / "parts"


def _load(machine: Node) -> None:
    started = time.monotonic()
    images = (samples.image_a(), samples.image_b())
    published = away = False
    for image in itertools.cycle(images):
        passed = time.monotonic() - started
        if passed > SECONDS:
            return
        if not published and passed > PUBLISHED:
            published = True
            machine.repository.publish(*(layer for each in images for layer in each.layers))
        if away != (AWAY[0] <= passed < AWAY[1]):
            away = not away
            _take_away(machine) if away else _give_back(machine)
        reference = machine.pull(image).reference
        machine.containerd.cri.run(reference, "true")
        machine.containerd.cri.remove_image(reference)


def _take_away(machine: Node) -> None:
    mounts.unmount_below(machine.layers)
    machine.layers.rmdir()


def _give_back(machine: Node) -> None:
    machine.layers.mkdir()
    subprocess.run(["mount", "--bind", machine.repository.path, machine.layers], check=True)


def _page(port: int) -> str:
    """Give the address of the page with the queries of the panels, one below the other."""
    of_dashboard = panels()
    asked: dict[str, str] = {}
    for number, title in enumerate(PANELS):
        # The page draws one query, where a panel has several the first.
        asked[f"g{number}.expr"] = of_dashboard[title][0]["query"]
        asked[f"g{number}.range_input"] = f"{SECONDS:.0f}s"
        asked[f"g{number}.tab"] = "0"
    return f"http://127.0.0.1:{port}/classic/graph?{urllib.parse.urlencode(asked)}"


if __name__ == "__main__":
    main()
