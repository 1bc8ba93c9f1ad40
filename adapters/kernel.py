"""What this node's kernel wants to be told about overlays, and whether it can mount any."""

import os
import secrets
from pathlib import Path

_ROOT = Path("/")

_USERXATTR_SINCE = (5, 11)
_INITIAL_NAMESPACE = ["0", "0", "4294967295"]


class OverlayError(Exception):
    """Overlays as they are needed cannot be mounted on this node; the message says why."""


def overlay_options(system: Path = _ROOT) -> tuple[str, ...]:
    """Give the overlay options that every mount on this node needs.

    They are those that containerd's own overlayfs snapshotter uses
    (``plugins/snapshots/overlay``: ``supportsIndex``, ``overlayutils.NeedsUserXAttr``):
    ``index=off`` where the kernel has an inode index, and ``userxattr`` in a user namespace.

    Args:
        system: where ``/proc`` and ``/sys`` are found.

    Returns:
        The options.
    """
    options = []
    if (system / "sys/module/overlay/parameters/index").exists():
        options.append("index=off")
    if _in_user_namespace(system) and _kernel_version(system) >= _USERXATTR_SINCE:
        options.append("userxattr")
    return tuple(options)


def opaque_attribute(system: Path = _ROOT) -> str:
    """Give the extended attribute that makes a directory opaque to this kernel's overlayfs.

    Args:
        system: where ``/proc`` and ``/sys`` are found.

    Returns:
        Its name; with the option ``userxattr`` overlayfs reads another one (the kernel's
        ``Documentation/filesystems/overlayfs.rst``, "User xattr").
    """
    space = "user" if "userxattr" in overlay_options(system) else "trusted"
    return f"{space}.overlay.opaque"


def _in_user_namespace(system: Path) -> bool:
    # The initial namespace maps all IDs to themselves (user_namespaces(7)).
    return _text(system / "proc/self/uid_map").split() not in ([], _INITIAL_NAMESPACE)


def _kernel_version(system: Path) -> tuple[int, int]:
    major, _, rest = _text(system / "proc/sys/kernel/osrelease").strip().partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    if not (major.isdecimal() and minor.isdecimal()):
        return 0, 0
    return int(major), int(minor)


def require_overlay(root: str, system: Path = _ROOT) -> None:
    """Make sure that overlays with their upper directory below the root can be mounted.

    Nothing is mounted to find out, for the daemon may not mount.

    Args:
        root: the root directory; it exists and can be written to.
        system: where ``/proc`` and ``/lib/modules`` are found.

    Raises:
        OverlayError: they cannot.
        OSError: the root directory cannot be written to.
    """
    if not _has_overlay(system):
        raise OverlayError(
            "this kernel has no overlay file system: neither /proc/filesystems nor its modules "
            "name one"
        )
    kind = file_system(root, system)
    if kind == "overlay":
        raise OverlayError(
            f"{root} is itself on an overlay, which cannot hold the upper directory of another; "
            "use a directory of the node, or a volume"
        )
    if not _gives_types(Path(root)):
        raise OverlayError(
            f"the file system of {root} does not tell the types of directory entries (d_type), "
            "which overlayfs needs; XFS must have been made with ftype=1"
        )


def _has_overlay(system: Path) -> bool:
    if "overlay" in _text(system / "proc/filesystems").split():
        return True
    # The first mount loads the module. Where modules cannot be seen, as in a container, it may.
    modules = system / "lib/modules" / _text(system / "proc/sys/kernel/osrelease").strip()
    lists = [_text(modules / name) for name in ("modules.dep", "modules.builtin")]
    return not any(lists) or any("/overlay.ko" in text for text in lists)


def file_system(root: str, system: Path = _ROOT) -> str:
    """Tell the type of the file system that a directory is on (proc(5)).

    Args:
        root: the directory.
        system: where ``/proc`` is found.

    Returns:
        The type; empty if it is not known.

    Raises:
        OSError: the directory is not there.
    """
    descriptor = os.open(root, os.O_PATH | os.O_CLOEXEC)
    try:
        about = _text(Path(f"/proc/self/fdinfo/{descriptor}"))
    finally:
        os.close(descriptor)
    number = about.partition("mnt_id:")[2].split("\n", 1)[0].strip()
    for line in _text(system / "proc/self/mountinfo").splitlines():
        if line.split(" ", 1)[0] == number:
            return line.partition(" - ")[2].split(" ")[0]
    return ""


def _gives_types(directory: Path) -> bool:
    probe = directory / f".type-{secrets.token_hex(8)}"
    probe.touch(0o600)
    try:
        with os.scandir(directory) as entries:
            entry = next(entry for entry in entries if entry.name == probe.name)
    finally:
        probe.unlink()
    # The file is gone: whoever still knows what it was knows from the directory's entry.
    return entry.is_file(follow_symlinks=False)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
