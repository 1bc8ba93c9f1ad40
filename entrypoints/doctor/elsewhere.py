"""Reading containerd's configuration where that containerd sees it, in a process of its own.

The process changes its root to that of containerd, so that imported files and symbolic links lead
where they lead containerd. It can be killed if a file system there does not answer.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from cvmfs_snapshotter.adapters.probes import worker_command

from ..containerd_config.documents import Document
from ..containerd_config.reading import UnreadableError, read
from ..containerd_config.releases import RELEASES, Release

_MODULE = "cvmfs_snapshotter.entrypoints.doctor.elsewhere"
_SECONDS = 10.0
_SECONDS_TO_DIE = 1.0
_MOST_BYTES = 1 << 30
"""Memory of the process: what is there may be no file, and without end."""


class ElsewhereError(Exception):
    """What is seen there is not known; the message says why."""


def read_elsewhere(
    root: str, path: str, release: Release, seconds: float = _SECONDS
) -> list[Document]:
    """Read a configuration below another root.

    Args:
        root: that root, such as ``/proc/7/root``.
        path: of the configuration, as it is named there.
        release: of containerd.
        seconds: how long to wait.

    Returns:
        As ``read`` gives it.

    Raises:
        UnreadableError: there is no such file, or it cannot be understood.
        ElsewhereError: it is not known what is there.
    """
    process = subprocess.Popen(  # noqa: S603 - it is this interpreter
        [*worker_command(_MODULE), root, path, release.name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        said, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        # If the kernel has it, it is not waited for.
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_SECONDS_TO_DIE)
        raise ElsewhereError(f"{path} was not read within {seconds:g} s") from None
    if process.returncode:
        why = complaint.decode(errors="replace").strip().splitlines() or ["it ended"]
        raise ElsewhereError(f"{path} cannot be read below {root}: {why[-1]}")
    answer = json.loads(said)
    if "error" in answer:
        raise UnreadableError(answer["error"])
    return [Document(name, content) for name, content in answer["documents"]]


def main(arguments: Sequence[str]) -> None:
    """Read as the process; writes ``documents``, each with its path, or ``error`` as JSON.

    Args:
        arguments: root, path and release.
    """
    root, path, release = arguments
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    # From here on everything on disk is somebody else's: no code may come from there.
    sys.meta_path.clear()
    os.chroot(root)
    os.chdir("/")
    try:
        documents = read(path, RELEASES[release])
        answer: dict[str, object] = {"documents": [[d.path, d.content] for d in documents]}
    except UnreadableError as error:
        answer = {"error": str(error)}
    # Dates of TOML are of no meaning to any check.
    sys.stdout.write(json.dumps(answer, default=str))


if __name__ == "__main__":
    main(sys.argv[1:])
