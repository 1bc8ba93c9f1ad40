"""What the daemon relies on must not be for others to change."""

import os
import stat


def distrust(found: os.stat_result, *, sticky_is_enough: bool = False) -> str:
    """Say why a file or directory cannot be relied on.

    Args:
        found: what stat(2) tells of it.
        sticky_is_enough: accept a directory in which everybody can make names as long as nobody
            can replace those of others, as in ``/tmp``.

    Returns:
        The reason in words; empty if there is none.
    """
    if found.st_uid not in {0, os.geteuid()}:
        return f"it belongs to user {found.st_uid}, not to us"
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IWOTH and not (sticky_is_enough and mode & stat.S_ISVTX):
        return f"everybody can write to it (mode {mode:04o})"
    return ""


def distrust_way(path: str) -> str:
    """Say why what stands under a path could be replaced by others.

    Args:
        path: of a file; it may be a symbolic link.

    Returns:
        The reason in words, with the directory that it is about; empty if there is none.

    Raises:
        OSError: a directory cannot be looked at.
    """
    # The directory with the link and that with the file, if it is one.
    for directory in dict.fromkeys(map(_directory, (path, os.path.realpath(path)))):
        if os.statvfs(directory).f_flag & os.ST_RDONLY:
            # Kubernetes mounts a ConfigMap read-only, and with mode 0777.
            continue
        reason = distrust(os.stat(directory), sticky_is_enough=True)  # noqa: PTH116 - texts
        if reason:
            return f"{directory}: {reason}"
    return ""


def _directory(path: str) -> str:
    return os.path.dirname(path) or "."  # noqa: PTH120 - texts
