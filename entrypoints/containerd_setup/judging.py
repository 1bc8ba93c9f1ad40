"""Whether a configuration works with our lines in it, by our own check and by containerd."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping

from ..containerd_config.check import check
from ..containerd_config.documents import Document, effective
from ..containerd_config.names import SNAPSHOTTER
from ..containerd_config.reading import UnreadableError, read
from ..containerd_config.releases import RELEASES, Release
from ..containerd_config.toml import table
from ..containerd_config.wanted import Wanted
from .errors import RefusedError

_SECONDS = 60.0
_VERSION = re.compile(r"\bv?(\d+\.\d+)\.\d+")


def find_containerd(name: str) -> str:
    """Find the program.

    Args:
        name: of it in PATH, or its path.

    Returns:
        Its path; empty if there is none.
    """
    return shutil.which(name) or ""


def release_of(program: str) -> Release:
    """Ask a containerd which release it is.

    Args:
        program: its path.

    Raises:
        RefusedError: it does not say, or is one that we do not know.
    """
    said = _run(program, "--version")
    found = _VERSION.search(said)
    name = found[1] if found else ""
    if name not in RELEASES:
        known = f"{next(iter(RELEASES))} to {list(RELEASES)[-1]}"
        raise RefusedError(
            f"{program} is {name or said.strip() or 'a containerd without a version'}; releases "
            f"{known} are known: say with --for which of them it is like"
        )
    return RELEASES[name]


def judge(root: str, wanted: Wanted, instead: Mapping[str, str]) -> None:
    """Check a configuration as ``containerd-config --check`` does, before it is written.

    Args:
        root: the file that containerd reads.
        wanted: what for.
        instead: texts, by absolute path, that are to be written.

    Raises:
        RefusedError: something would keep layers from being remote.
    """
    try:
        documents = read(root, wanted.release, instead)
    except UnreadableError as error:
        raise RefusedError(str(error)) from None
    absent = set(instead) - {document.path for document in documents}
    if absent:
        raise RefusedError(f"{', '.join(sorted(absent))} is not imported by {root}")
    findings = check(documents, wanted).findings
    if findings:
        imported = ", ".join(document.path for document in documents[1:])
        raise RefusedError(
            "\n".join(
                [
                    "with our lines in it something would still keep layers from being remote:",
                    *(_line(one.name, one.problem, one.advice) for one in findings),
                    *([f"it imports {imported}"] if imported else []),
                ]
            )
        )


def _line(name: str, problem: str, advice: str) -> str:
    return f"{name}: {problem}{': ' if advice else ''}{advice}"


def try_with(program: str, path: str, wanted: Wanted) -> None:
    """Let containerd itself read a file, and see that it found our lines.

    Args:
        program: containerd.
        path: of the file, which need not be that of the node.
        wanted: what for.

    Raises:
        RefusedError: it does not take the file, or makes something else of it.
    """
    said = _run(program, "--config", path, "config", "dump")
    try:
        document = Document(path, tomllib.loads(said))
    except ValueError as error:
        raise RefusedError(f"{program} config dump printed no TOML: {error}") from None
    found = effective([document], wanted.release)
    proxy = table(found.proxies.get(SNAPSHOTTER))
    if (proxy.get("address"), found.images.get("snapshotter")) != (wanted.address, SNAPSHOTTER):
        raise RefusedError(
            f"{program} does not make of it what is wanted; is it containerd "
            f"{wanted.release.name}?"
        )


def _run(program: str, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - it is the program that runs as root already
            [program, *arguments], capture_output=True, timeout=_SECONDS, check=False, cwd="/"
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RefusedError(f"{program}: {error}") from None
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip()
        raise RefusedError(f"{program} {' '.join(arguments)} failed: {why}")
    return done.stdout.decode(errors="replace")
