"""Record what the commands show after a real pull, as a picture for the documentation.

Of an image of five layers the lowest three lie on a tree laid out as on CernVM-FS, and is pulled
by a real containerd. What `tree` and `explain` then show on a terminal is drawn; only the paths of
the machine that recorded are put back to the usual ones.
"""

import argparse
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from cvmfs_snapshotter.entrypoints.cli.flags import DEFAULT_ROOT
from tests.demo.drawing import Shown, draw
from tests.harness import parts, samples
from tests.harness.node import Node, node
from tests.harness.processes import wait_until
from tests.harness.registry import Registry
from tests.harness.workspace import Workspace, workspace

PUBLISHED = 3
REMEMBERED = "remembered misses"
UNMEASURED = re.compile(r"committed +-")
USUAL_TREE, USUAL_REGISTRY = "/cvmfs/unpacked.cern.ch", "registry.example"
TITLE = (
    "Of an image of five layers the lowest three come from the source 'unpacked'; tree shows them "
    "in green, and explain says why the other two were downloaded"
)


def main() -> None:
    """Read the arguments, record, write the picture."""
    parser = argparse.ArgumentParser(
        prog="script/record", description="Record what the commands show after a real pull."
    )
    parser.add_argument("file", type=Path, help="the picture, SVG")
    file: Path = parser.parse_args().file
    with workspace() as made:
        file.write_text(draw(TITLE, _record(made)))


def _record(made: Workspace) -> list[Shown]:
    image = samples.image_a()
    registry = Registry.make(parts.find(), made.base / "registry").start()
    for one in (samples.sandbox(), image):
        registry.push(one)
    published = image.layers[:PUBLISHED]
    with node(made, "node", registry, published, version="1.7", source="unpacked") as machine:
        reference = machine.pull(image).reference
        machine.containerd.cri.run(reference, "true")
        root = ("--root", str(machine.daemon.root))
        rest = (
            *("--address", str(machine.daemon.socket)),
            *("--config", str(machine.daemon.directory / "config.toml")),
            *("--containerd-root", str(machine.containerd.directory / "root")),
        )
        usual = f"{USUAL_REGISTRY}/a:latest"
        misses = len(image.layers) - PUBLISHED

        def look() -> list[Shown]:
            tree = _on_a_terminal("tree", *root)
            explained = _on_a_terminal("explain", *root, *rest, reference)
            # What layers take is measured, and misses are remembered, in the background.
            if UNMEASURED.search(tree) or explained.count(REMEMBERED) < misses:
                return []
            return [
                Shown("cvmfs-snapshotter tree", _usual(machine, tree)),
                Shown(f"cvmfs-snapshotter explain {usual}", _usual(machine, explained)),
            ]

        shown = wait_until("all is measured and remembered", look)
    registry.stop()
    return shown


def _usual(machine: Node, text: str) -> str:
    """Put the usual paths in the place of this machine's."""
    text = text.replace(str(machine.layers), USUAL_TREE)
    text = text.replace(str(machine.daemon.root), DEFAULT_ROOT)
    return text.replace(machine.registry.host, USUAL_REGISTRY)


def _on_a_terminal(*arguments: str) -> str:
    """Run a command of ours with a terminal as its output, and tell what it showed."""
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "cvmfs_snapshotter", *arguments], stdout=theirs, env=environment
    ) as program:
        os.close(theirs)
        shown = b""
        # The kernel ends a terminal that nobody holds any more with EIO.
        with suppress(OSError):
            while read := os.read(ours, 65536):
                shown += read
    os.close(ours)
    # `explain` ends with 3 where not all layers come from a source.
    if program.returncode not in {0, 3}:
        raise SystemExit(f"{arguments[0]} ended with {program.returncode}")
    return shown.decode().replace("\r\n", "\n")


if __name__ == "__main__":
    main()
