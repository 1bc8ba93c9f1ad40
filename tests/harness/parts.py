"""Where the unpacked programs are: containerd, runc, a registry, busybox and others."""

import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""


@attrs.frozen
class Parts:
    """Paths of the programs that `script/parts` unpacks.

    Attributes:
        version: Of containerd, as `script/parts` names it: "1.6", "1.7" or "2.1".
        containerd: Directory with `containerd`, its shim and `ctr`.
        runc: The program.
        registry: The program `docker-registry`.
        busybox: The program, linked statically, so that it is all that an image needs.
        libfuse: The library.
        promtool: The program of Prometheus that checks its files.
        systemd: Directory with what systemd-analyze needs, the program in `usr/bin`.
        zsh: The program.
        fish: The program.
        mandoc: The program.
        docker: Directory with what Docker's daemon and client need.
    """

    version: str
    containerd: Path
    runc: Path
    registry: Path
    busybox: Path
    libfuse: Path
    promtool: Path
    systemd: Path
    zsh: Path
    fish: Path
    mandoc: Path
    docker: Path

    @property
    def fish_libraries(self) -> str:
        """Where fish finds its libraries, as `LD_LIBRARY_PATH` has it."""
        return ":".join(str(path) for path in self.fish.parent.parent.glob("lib/*-linux-gnu*"))

    @property
    def systemd_analyze(self) -> Path:
        """The program."""
        return self.systemd / "usr/bin/systemd-analyze"

    @property
    def systemd_libraries(self) -> str:
        """Where systemd-analyze finds its libraries, as `LD_LIBRARY_PATH` has it."""
        folders = {str(path.parent) for path in self.systemd.rglob("*.so*")}
        return ":".join(sorted(folders))

    @property
    def few(self) -> tuple[Path, ...]:
        """What nodes are made of: all that the demo needs."""
        return (self.containerd / "containerd", self.runc, self.registry, self.busybox)

    @property
    def every(self) -> tuple[Path, ...]:
        """All of them."""
        checkers = (self.promtool, self.systemd_analyze, self.zsh, self.fish, self.mandoc)
        programs = (*self.few, self.libfuse, self.docker / "usr/sbin/dockerd")
        return (*programs, *checkers)


@cache
def find(containerd: str = "1.6") -> Parts:
    """Tell where the programs are, and unpack them first when one that nodes need is missing.

    Args:
        containerd: Version of containerd, as `script/parts` names it.

    Raises:
        RuntimeError: A program is missing also after `script/parts` has run.
        subprocess.CalledProcessError: `script/parts` failed.
    """
    return _complete(containerd, lambda parts: parts.few)


@cache
def find_all() -> Parts:
    """Tell where the programs are, and unpack them first when any is missing.

    Raises:
        RuntimeError: A program is missing also after `script/parts` has run.
        subprocess.CalledProcessError: `script/parts` failed.
    """
    return _complete("1.6", lambda parts: parts.every)


def _complete(containerd: str, needed: Callable[[Parts], tuple[Path, ...]]) -> Parts:
    parts = _locate(containerd)
    if not all(path.exists() for path in needed(parts)):
        subprocess.run([ROOT / "script" / "parts"], check=True)
        parts = _locate(containerd)  # only now is it known where the library is
    for path in needed(parts):
        if not path.exists():
            raise RuntimeError(f"{path} is missing; script/parts does not unpack it")
    return parts


def _locate(containerd: str) -> Parts:
    """Apply the rule by which `script/parts` names its folders."""
    cache_home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    parts = Path(cache_home) / "cvmfs-snapshotter" / "parts"
    return Parts(
        version=containerd,
        containerd=parts / f"containerd-{containerd}" / "usr/bin",
        runc=parts / "runc-1.1" / "usr/sbin/runc",
        registry=parts / "registry-2.8" / "usr/bin/docker-registry",
        busybox=parts / "busybox-1.35" / "bin/busybox",
        libfuse=_library(parts / "libfuse-3.14" / "lib", "libfuse3.so.3"),
        promtool=parts / "prometheus-2.42" / "usr/bin/promtool",
        systemd=parts / "systemd-252",
        zsh=parts / "zsh-5.9" / "bin/zsh",
        fish=parts / "fish-3.6" / "usr/bin/fish",
        mandoc=parts / "mandoc-1.14" / "usr/bin/mandoc",
        docker=parts / "docker-26",
    )


def _library(directory: Path, name: str) -> Path:
    """Tell where a library is: below a directory that is named for the machine's architecture."""
    return next(directory.glob(f"*/{name}"), directory / name)
