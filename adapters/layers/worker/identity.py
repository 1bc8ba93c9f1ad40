"""Whether a file system is the repository that it should be."""

import errno
import os
import re

from .misses import NOT_MOUNTED, WRONG_REPOSITORY, MissError, miss_of

_REPOSITORY_NAME = "user.fqrn"
"""Magic attribute with the fully qualified repository name, on every path of a repository
(CVMFS documentation, "Magic extended attributes")."""

_DENIED = {errno.EPERM, errno.ENODATA, errno.EOPNOTSUPP}
"""What a client answers that protects its attributes, and any file system that has none."""


def require_repository(descriptor: int, path: str, repository: str) -> bool:
    """Make sure that a directory belongs to a CVMFS repository.

    The client is asked, never the kernel's caches: an attribute, else the state of the file
    system, shows at once that it is dead.

    Args:
        descriptor: of the directory.
        path: its path, for messages.
        repository: fully qualified name.

    Returns:
        True if the repository said its name; False if that could not be read and it is known only
        that a CVMFS client has mounted something there.

    Raises:
        MissError: it is another repository or no repository, or it cannot be asked.
    """
    try:
        named = os.getxattr(descriptor, _REPOSITORY_NAME)
    except OSError as error:
        if error.errno not in _DENIED:
            raise miss_of(error, path) from error
        require_alive(descriptor, path)
        _require_client(descriptor, path)
        return False
    if named != repository.encode():
        said = named[:100].decode("utf-8", "backslashreplace")
        raise MissError(WRONG_REPOSITORY, f"{path} is repository {said!r}, not {repository!r}")
    return True


def require_alive(descriptor: int, path: str) -> None:
    """Make sure that whoever serves a file system answers.

    Args:
        descriptor: of a directory on it.
        path: its path, for messages.

    Raises:
        MissError: it does not.
    """
    try:
        os.fstatvfs(descriptor)
    except OSError as error:
        raise miss_of(error, path) from error


def _require_client(descriptor: int, path: str) -> None:
    found = mount_of(descriptor)
    if found is None:
        raise MissError(NOT_MOUNTED, f"{path}: no mount of this node contains it")
    kind, source = found
    if not is_client(kind, source):
        raise MissError(
            NOT_MOUNTED, f"{path} is not on CernVM-FS: the file system there is {kind} ({source})"
        )


def is_client(kind: str, source: str) -> bool:
    """Tell whether a mount is one of a CVMFS client.

    Args:
        kind: file system type; ``fuse``, or ``fuse.`` with a name behind it.
        source: what is mounted, which the client calls ``cvmfs2``.
    """
    return kind.partition(".")[0] == "fuse" and source == "cvmfs2"


def mount_of(descriptor: int) -> tuple[str, str] | None:
    """Find the mount that a directory is on.

    Args:
        descriptor: of the directory.

    Returns:
        File system type and source; None if that cannot be told.
    """
    try:
        about = _read(f"/proc/self/fdinfo/{descriptor}")
        number = next(line.split()[1] for line in about.splitlines() if line[:7] == "mnt_id:")
        return mount_in(_read("/proc/self/mountinfo"), number)
    except (OSError, StopIteration):
        return None


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123 - pathlib would slow the start
        return file.read()


def mount_in(mountinfo: str, number: str) -> tuple[str, str] | None:
    """Find a mount by its number.

    Args:
        mountinfo: content of ``/proc/<pid>/mountinfo``, see proc(5).
        number: the mount's ID.

    Returns:
        File system type and source; None if there is no such mount.
    """
    for line in mountinfo.splitlines():
        if line.startswith(f"{number} "):
            kind, source, *_ = line.partition(" - ")[2].split(" ")
            return kind, _unescaped(source)
    return None


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
