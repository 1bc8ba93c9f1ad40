"""What an operator should know about a source: who serves it, and how well."""

import os
import stat
from collections.abc import Iterator
from itertools import islice

from .identity import mount_of
from .misses import miss_of, shown
from .opening import open_directory

ATTRIBUTES = (
    "fqrn",
    "revision",
    "version",
    "pid",
    "ncleanup24",
    "nioerr",
    "timestamp_last_ioerr",
    "host",
    "proxy",
    "expires",
)
"""Magic attributes without ``user.`` (CVMFS documentation, "Magic extended attributes")."""

ROOTS_OWN = ("etc", "usr", "bin", "lib", "sbin", "var", "root")
"""Directories that belong to root in any image."""

_MOST_PREFIXES = 16
_MOST_SAMPLES = 4


def survey(root: int) -> dict[str, object]:
    """Look a source over.

    Args:
        root: descriptor of its root, found healthy.

    Returns:
        ``type`` and ``mounted``, the file system's type and what is mounted, null if unknown;
        ``attributes``, those of ``ATTRIBUTES`` that can be read; ``client``, the user ID that
        the CVMFS client runs under, null if unknown; ``owners``, the user IDs to which
        directories of ``ROOTS_OWN`` belong in some layers; ``limit``, the bytes that the cache of
        the CVMFS client may take, null if unknown or without limit.

    Raises:
        MissError: the source does not answer.
    """
    kind, mounted = mount_of(root) or (None, None)
    attributes = dict(_attributes(root))
    try:
        limit = _cache_limit(root)
        owners = sorted({owner for layer in _samples(root) for owner in layer})
    except OSError as error:
        raise miss_of(error, "its root or a layer") from error
    return {
        "type": kind,
        "mounted": None if mounted is None else shown(mounted),
        "attributes": attributes,
        "client": _owner_of_process(attributes.get("pid", "")),
        "owners": owners,
        "limit": limit,
    }


def _cache_limit(root: int) -> int | None:
    """Give the limit of the client's cache, which it shows as the size of its file system.

    That is what works, whichever file of the configuration it comes from. A cache without limit
    has size 0, or the size of what is in it, so that nothing is free (``cvmfs_statfs`` of the
    CVMFS client).
    """
    found = os.fstatvfs(root)
    return found.f_blocks * found.f_frsize if found.f_bavail else None


def _attributes(root: int) -> Iterator[tuple[str, str]]:
    for name in ATTRIBUTES:
        try:
            value = os.getxattr(root, f"user.{name}")
        except OSError:
            # Attributes may be protected, or unknown to the client.
            continue
        yield name, shown(os.fsdecode(value).strip())


def _owner_of_process(pid: str) -> int | None:
    if not (pid.isascii() and pid.isdecimal()):
        return None
    try:
        return os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - pathlib would slow the start
    except OSError:
        return None


def _samples(root: int) -> Iterator[set[int]]:
    """Give the owners in a few layers that have any of the directories."""
    try:
        layers = open_directory(root, ".layers")
    except FileNotFoundError:
        return
    try:
        yield from islice(_owners(layers), _MOST_SAMPLES)
    finally:
        os.close(layers)


def _owners(layers: int) -> Iterator[set[int]]:
    for prefix in _some(layers):
        directory = open_directory(layers, prefix)
        try:
            for digest in _some(directory):
                owners = {
                    uid for name in ROOTS_OWN if (uid := _owner(directory, digest, name)) >= 0
                }
                if owners:
                    yield owners
        finally:
            os.close(directory)


def _some(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        found = (e.name for e in entries if e.is_dir(follow_symlinks=False))
        return list(islice(found, _MOST_PREFIXES))


def _owner(directory: int, digest: str, name: str) -> int:
    try:
        files = open_directory(directory, digest)
    except FileNotFoundError:
        return -1
    try:
        layer = open_directory(files, "layerfs")
    except FileNotFoundError:
        return -1
    finally:
        os.close(files)
    try:
        found = os.stat(name, dir_fd=layer, follow_symlinks=False)
    except FileNotFoundError:
        return -1
    finally:
        os.close(layer)
    return found.st_uid if stat.S_ISDIR(found.st_mode) else -1
