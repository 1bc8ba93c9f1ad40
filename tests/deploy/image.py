"""What the container image has in /opt/cvmfs-snapshotter, made from this checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.harness.parts import ROOT

OPT = "opt/cvmfs-snapshotter"

_NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "build", "dist")


def make(directory: Path) -> Path:
    """Make it as the recipe of the image does.

    Args:
        directory: for the wheel, the tree and what is needed on the way.

    Returns:
        What is to be /opt/cvmfs-snapshotter.
    """
    source, wheels, tree = (directory / name for name in ("source", "wheels", "image"))
    shutil.copytree(ROOT, source, symlinks=True, ignore=_NOT_COPIED)
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels)
    _run(*build, source)
    (wheel,) = wheels.iterdir()
    _run(ROOT / "deploy" / "container" / "make-image-tree", wheel, tree)
    return tree


def _run(*command: str | Path) -> None:
    environment = os.environ | {"PIP": f"{sys.executable} -m pip"}
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    environment["PIP_CACHE_DIR"] = str(cache / "cvmfs-snapshotter" / "pip")
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=250
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
