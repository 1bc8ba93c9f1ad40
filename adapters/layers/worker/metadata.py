"""What the publisher recorded about a layer: its diff ID and its size.

DUCC writes ``layers.json`` in podman's format: a list of objects of which
``compressed-diff-digest`` names the layer as it was downloaded, ``diff-digest`` and ``id`` its
uncompressed tar, and ``diff-size`` the bytes of that. It appears in a later transaction than the
layer's files.
"""

import errno
import json
import os
import stat
from typing import NamedTuple

from .misses import BAD_METADATA, MissError, miss_of
from .opening import LayerDirectory, is_link, open_directory

MAX_BYTES = 1 << 20
"""Longest description that is read; real ones have some hundred bytes."""

_SHA256 = "sha256:"
_HEX = frozenset("0123456789abcdef")
_SHA256_LENGTH = 64
_MOST_BYTES = 1 << 53


class Recorded(NamedTuple):
    """What is recorded about a layer.

    Attributes:
        diff_id: the hexadecimal digits of its diff ID.
        size: bytes of its uncompressed tar; None if that is not recorded, or makes no sense.
    """

    diff_id: str
    size: int | None


def recorded(layer: LayerDirectory, digits: str) -> Recorded | None:
    """Read what is recorded about a layer.

    Args:
        layer: the layer.
        digits: the hexadecimal digits of its digest.

    Returns:
        It; None if nothing is recorded.

    Raises:
        MissError: the record is no such record, or cannot be read.
    """
    path = f"{layer.path.rpartition('/')[0]}/.metadata/layers.json"
    try:
        directory = open_directory(layer.parent, ".metadata")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _trouble(error, path, layer.parent, ".metadata") from error
    try:
        content = read_file(directory, "layers.json", path)
    finally:
        os.close(directory)
    return None if content is None else parse(content, digits, path)


def read_file(directory: int, name: str, path: str) -> bytes | None:
    """Read a file that the publisher wrote.

    Args:
        directory: descriptor of the directory that it is in.
        name: a single name.
        path: its path, for messages.

    Returns:
        Its content; None if it is not there.

    Raises:
        MissError: it is no file, longer than ``MAX_BYTES``, or cannot be read.
    """
    try:
        # A handle first: opening a device does something, and a FIFO waits for its writer.
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise miss_of(error, path) from error
    try:
        kind = os.fstat(handle).st_mode
        if stat.S_ISLNK(kind):
            raise MissError(BAD_METADATA, f"{path} is a symbolic link, which is not followed")
        if not stat.S_ISREG(kind):
            raise MissError(BAD_METADATA, f"{path} is not a regular file")
        with open(f"/proc/self/fd/{handle}", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib would slow the start
            return _read_all(file.fileno(), path)
    except OSError as error:
        raise miss_of(error, path) from error
    finally:
        os.close(handle)


def _read_all(descriptor: int, path: str) -> bytes:
    content = b""
    while chunk := os.read(descriptor, MAX_BYTES + 1 - len(content)):
        content += chunk
        if len(content) > MAX_BYTES:
            raise MissError(BAD_METADATA, f"{path} is longer than {MAX_BYTES} bytes")
    return content


def _trouble(error: OSError, path: str, parent: int, name: str) -> MissError:
    if error.errno in {errno.ENOTDIR, errno.ELOOP, errno.ENXIO}:
        what = "a symbolic link" if is_link(parent, name) else "of another kind"
        return MissError(BAD_METADATA, f"{path}: {name} is {what}")
    return miss_of(error, path)


def parse(content: bytes, digits: str, path: str) -> Recorded:
    """Find a layer in a description.

    Args:
        content: the description; it is not trusted to be one.
        digits: the hexadecimal digits of the layer's digest.
        path: where it comes from, for messages.

    Returns:
        What it says about the layer.

    Raises:
        MissError: it says nothing about the layer, or contradicts itself.
    """
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise MissError(BAD_METADATA, f"{path} is not JSON") from error
    if not isinstance(entries, list):
        raise MissError(BAD_METADATA, f"{path} is not a list")
    found: set[object] = set()
    sizes: set[int | None] = set()
    for entry in entries:
        if isinstance(entry, dict) and entry.get("compressed-diff-digest") == _SHA256 + digits:
            found |= {_digits(entry[key]) for key in ("diff-digest", "id") if key in entry}
            sizes.add(_size(entry.get("diff-size")))
    if not found:
        raise MissError(BAD_METADATA, f"{path} names no diff ID for this layer")
    if len(found) > 1 or None in found:
        raise MissError(BAD_METADATA, f"{path} names no single diff ID for this layer")
    return Recorded(str(found.pop()), sizes.pop() if len(sizes) == 1 else None)


def _size(value: object) -> int | None:
    # Nothing but a number for the operator depends on it: a senseless one is no reason for a miss.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST_BYTES:
        return None
    return value


def _digits(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    digits = value.removeprefix(_SHA256)
    return digits if len(digits) == _SHA256_LENGTH and _HEX.issuperset(digits) else None
