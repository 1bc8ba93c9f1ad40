"""The images of a soak, and what a container of each has to see."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Final

import attrs

from tests.harness import samples
from tests.harness.images import Image
from tests.harness.layers import Kind, Layer, directory, file, layer, opaque, symlink, whiteout

SHOW: Final = (
    "set -e; all=$(busybox find /data /etc/image); top=$(busybox find / -maxdepth 1);"
    " files=$(busybox find /data /etc/image -type f);"
    ' sums=$(busybox sha256sum $files); echo "$all"; echo "$sums"; echo "$top"'
)
"""Shell command that prints every name of an image's own files, and a checksum of each file.

Whatever fails ends it before it prints anything.
"""

_TOP: Final = ("/", "/bin", "/data", "/dev", "/etc", "/proc", "/sys", "/tmp")
_PIECE: Final = 100_000
_MARK: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"


@attrs.frozen
class Sample:
    """An image, and which of its layers are on the source.

    Attributes:
        published: The layers that are there.
        seen: Lines that `SHOW` prints in a container, each with its number.
    """

    image: Image
    published: tuple[Layer, ...]
    seen: Counter[str]

    @classmethod
    def of(cls, name: str, layers: Iterable[Layer], published: Iterable[int]) -> "Sample":
        """Make an image.

        Args:
            published: Numbers of the layers that are on the source.
        """
        image = Image(f"{name}:latest", tuple(layers))
        return cls(image, tuple(image.layers[number] for number in published), seen(image))


def seen(image: Image) -> Counter[str]:
    """Tell the lines that `SHOW` prints, after the OCI image specification's layer rules."""
    files: dict[str, bytes | None] = {}
    for each in image.layers:
        _apply(files, each)
    own = {
        path: content
        for path, content in files.items()
        if path == "etc/image" or path.split("/")[0] == "data"
    }
    sums = [
        f"{hashlib.sha256(content).hexdigest()}  /{path}"
        for path, content in own.items()
        if content is not None
    ]
    return Counter([*(f"/{path}" for path in own), *sums, *_TOP])


def _apply(files: dict[str, bytes | None], above: Layer) -> None:
    for entry in above.entries:  # a layer deletes only what lower ones have
        parent, _, name = entry.path.rpartition("/")
        if name == _OPAQUE:
            _delete_below(files, parent)
        elif name.startswith(_MARK):
            gone = f"{parent}/{name.removeprefix(_MARK)}".lstrip("/")
            files.pop(gone, None)
            _delete_below(files, gone)
    for entry in above.entries:
        if not entry.path.rpartition("/")[2].startswith(_MARK):
            files[entry.path] = entry.content if entry.kind is Kind.FILE else None


def _delete_below(files: dict[str, bytes | None], path: str) -> None:
    for name in [name for name in files if name.startswith(f"{path}/")]:
        del files[name]


def _own(name: str, *more: str) -> Layer:
    """Make a layer with a file that no other has, and one that every such layer overrides."""
    content = hashlib.shake_256(name.encode()).digest(_PIECE)
    return layer(
        directory("data"),
        file(f"data/{name}", content),
        file("data/topmost", f"{name}\n"),
        symlink(f"data/link-{name}", name),
        *(file(f"data/{each}", f"{each} of {name}\n") for each in more),
    )


@cache
def _shared() -> tuple[Layer, ...]:
    return (
        samples.base("soak"),
        layer(
            directory("data"),
            file("data/common", "common\n"),
            file("data/deleted", "deleted\n"),
            file("data/topmost", "common\n"),
            directory("data/deep"),
            file("data/deep/old", "old\n"),
            file("data/deep/older", "older\n"),
        ),
    )


@cache
def _deleting(name: str) -> Layer:
    return layer(
        directory("data"),
        file(f"data/{name}", f"{name}\n"),
        whiteout("data/deleted"),
        directory("data/deep"),
        opaque("data/deep"),
        file("data/deep/new", f"new of {name}\n"),
    )


@cache
def vanishing() -> Sample:
    """Make the image whose layers vanish from the source and come back; no other has them."""
    layers = (samples.base("vanishing"), _own("coming"), _own("going"))
    return Sample.of("vanishing", layers, (0, 1, 2))


@cache
def all_samples() -> tuple[Sample, ...]:
    """Make all images: of the source altogether, in part or not at all, most sharing layers."""
    shared = _shared()
    everything = [
        Sample.of(f"all-{n}", (*shared, _deleting(f"d{n}"), _own(f"all{n}")), range(4))
        for n in range(3)
    ]
    partly = [
        Sample.of("lower", (*shared, _own("lower"), _deleting("lowered")), (0, 1)),
        Sample.of("upper", (samples.base("upper"), _own("upper"), _own("up", "common")), (1, 2)),
        Sample.of("hole", (*shared, _own("hole"), _deleting("d0"), _own("all0")), (0, 1, 3, 4)),
    ]
    nothing = [
        Sample.of(f"none-{n}", (samples.base("none"), _own(f"none{n}", "common")), ())
        for n in range(2)
    ]
    return (*everything, *partly, *nothing, vanishing())
