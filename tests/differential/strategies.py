"""Generated images for the differential test."""

import attrs
from hypothesis import strategies as st

from tests.harness.layers import (
    Entry,
    Kind,
    Layer,
    device,
    directory,
    file,
    layer,
    symlink,
)

MOST_LAYERS = 5
"""Layers of the largest image."""

_NOT_UTF8 = b"\xff\xfe".decode(errors="surrogateescape")
_NAMES = st.sampled_from(
    # Names must meet often enough for layers to change one another's files.
    ["a", "b", "c", "tmp"] * 4
    + ["with space", "new\nline", "co:lon,comma", "back\\slash", "n" * 200, _NOT_UTF8]
)
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_CONTENTS = st.sampled_from([b"", b"1", b"two", b"\0\xff"])
_MODES = st.sampled_from([0o644, 0o600, 0o755, 0o4755, 0o2755, 0o000])
_DIRECTORY_MODES = st.sampled_from([0o755, 0o700, 0o1777, 0o1750, 0o555])
_LONGEST_DELETED = 255 - len(b".wh.")
_OWNERS = st.sampled_from([(0, 0), (1, 1), (1000, 50)])
# None of them is near the time of the ingest, by which made-up directories are told.
_TIMES = st.sampled_from([0, 1, 1_500_000_000, 1_700_000_001])


@st.composite
def _entry(draw: st.DrawFn, path: str) -> Entry:
    uid, gid = draw(_OWNERS)
    mtime = draw(_TIMES)
    match draw(st.sampled_from(["file", "file", "directory", "directory", "link", "device"])):
        case "file":
            made = file(path, draw(_CONTENTS), draw(_MODES))
        case "directory":
            made = directory(path, draw(_DIRECTORY_MODES))
        case "link":
            made = symlink(path, draw(_PATHS))
        case _:
            made = device(path, 1, 3)
    return attrs.evolve(made, uid=uid, gid=gid, mtime=mtime)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """Make one layer.

    Left out is what containerd's own unpacking does otherwise than the specification says: a name
    deleted and made in one layer, and an opaque mark in the root. Each has a test of its own.
    """
    made: dict[str, Entry] = {}
    wanted: list[str] = draw(st.lists(_PATHS, max_size=8, unique=True))
    for path in wanted:
        if _free(made, path):
            made[path] = draw(_entry(path))
    files = [path for path, entry in made.items() if entry.kind is Kind.FILE]
    if draw(st.booleans()) and files:
        path = draw(_PATHS)
        if _free(made, path):
            original = made[draw(st.sampled_from(files))]
            # An archive says the same of every name of a file.
            made[path] = attrs.evolve(
                original, path=path, kind=Kind.HARDLINK, content=b"", target=original.path
            )
    parents = sorted({path.rpartition("/")[0] for path in made} - {""})
    deleted: list[str] = draw(st.lists(_PATHS, max_size=3, unique=True))
    for path in deleted:
        parent, _, name = path.rpartition("/")
        marker = f"{parent}/.wh.{name}" if parent else f".wh.{name}"
        used = any(p == path or p.startswith(path + "/") for p in made)
        if _free(made, path) and not used and len(_bytes(name)) <= _LONGEST_DELETED:
            made[marker] = file(marker, b"")
    if draw(st.booleans()) and parents:
        mark = f"{draw(st.sampled_from(parents))}/.wh..wh..opq"
        made[mark] = file(mark, b"")
    # Sorted, parents come before what is in them, and hard links last.
    ordered = sorted(made.values(), key=lambda e: (e.kind is Kind.HARDLINK, e.path))
    return layer(*ordered)


def _free(made: dict[str, Entry], path: str) -> bool:
    """Tell whether a path can be added: not there, below no file, below no deleted name."""
    parts = path.split("/")
    for length in range(1, len(parts) + 1):
        parent = "/".join(parts[: length - 1])
        marker = f"{parent}/.wh.{parts[length - 1]}" if parent else f".wh.{parts[0]}"
        above = made.get("/".join(parts[:length]))
        is_file = above is not None and above.kind is not Kind.DIRECTORY
        if marker in made or (length < len(parts) and is_file):
            return False
    return path not in made and not any(p.startswith(path + "/") for p in made)


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogateescape")


@st.composite
def images(draw: st.DrawFn) -> tuple[Layer, ...]:
    """Make the layers of an image, the lowest first; now and then one of them occurs twice."""
    made = draw(st.lists(layers(), min_size=1, max_size=MOST_LAYERS - 1))
    if draw(st.booleans()):
        again = draw(st.sampled_from(made))
        made.insert(draw(st.sampled_from(range(len(made) + 1))), again)
    return tuple(made)
