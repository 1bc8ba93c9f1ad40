"""The unit file, read as systemd reads it."""

import re
import subprocess
from pathlib import Path

from tests.harness import parts
from tests.harness.parts import ROOT

UNIT = ROOT / "deploy" / "systemd" / "cvmfs-snapshotter.service"


def settings(key: str) -> list[str]:
    """Give the values of a setting, in the order in which they stand."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def capabilities() -> list[str]:
    """Give the capabilities that are left, as setpriv names them."""
    (value,) = settings("CapabilityBoundingSet")
    return [name.removeprefix("CAP_").lower() for name in value.split()]


def allowed_calls() -> set[str]:
    """Give the names of the system calls that its filters leave."""
    allowed: set[str] = set()
    for value in settings("SystemCallFilter"):
        denied = value.startswith("~")
        for name in value.removeprefix("~").split():
            calls = _group(name) if name.startswith("@") else {name}
            allowed = allowed - calls if denied else allowed | calls
    # systemd lets these pass whatever is configured (systemd.exec(5), "SystemCallFilter=").
    return allowed | _group("@default") | {"execve", "exit", "exit_group"}


def _group(name: str) -> set[str]:
    """Give the system calls of one of systemd's groups and of the groups in it."""
    text = run("syscall-filter", name)
    found: set[str] = set()
    for line in text.splitlines():
        entry = line.strip()
        if line.startswith("    ") and not entry.startswith("#"):
            found |= _group(entry) if entry.startswith("@") else {entry}
    return found


def run(*arguments: str | Path, check: bool = True) -> str:
    """Run systemd-analyze and give what it says on both outputs."""
    found = parts.find_all()
    done = subprocess.run(
        [found.systemd_analyze, "--no-pager", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={
            "LD_LIBRARY_PATH": found.systemd_libraries,
            "PATH": "/usr/bin:/bin",
            "SYSTEMD_COLORS": "0",
            "SYSTEMD_LOG_LEVEL": "info",
            # Not every machine has the units of systemd itself.
            "SYSTEMD_UNIT_PATH": f"{found.systemd}/lib/systemd/system",
        },
    )
    if check and done.returncode:
        raise RuntimeError(f"{arguments}: {done.stdout}")
    return done.stdout


def seccomp() -> Path:
    """Give the path of libseccomp."""
    return next(parts.find_all().systemd.rglob("libseccomp.so.2"))
