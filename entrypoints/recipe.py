"""The images that are worth publishing, as a recipe for DUCC."""

import time
from collections.abc import Mapping, Sequence

import attrs

from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.domain.wishes import WantedImage, Wish

DEFAULT_USER = "cvmfsunpacker"
"""The account in the examples of DUCC's documentation; whoever publishes has their own."""

DEFAULT_OUTPUT_FORMAT = "$(scheme)://$(registry)/$(repository)_thin:$(tag)"
"""What DUCC takes where a recipe names none (``ducc/lib/recipe.go``)."""

_UNITS = ("kB", "MB", "GB", "TB", "PB")
_STEP = 1000


@attrs.frozen
class Heading:
    """What a recipe says once.

    Attributes:
        user: account at the registry that gets DUCC's thin images.
        repository: that publishes.
        output_format: names of the thin images.
    """

    user: str
    repository: str
    output_format: str


@attrs.frozen
class Cost:
    """What an image costs while it is not published.

    Attributes:
        size: bytes of its missed layers; None if no size is known.
        saved: bytes that were downloaded for them, and would not have been.
        complete: whether the sizes of all of them are known; if not, both are at least so many.
    """

    size: int | None
    saved: int | None
    complete: bool


def cost_of(image: WantedImage, sizes: Mapping[Digest, int]) -> Cost:
    """Count what an image costs.

    Args:
        image: the image.
        sizes: bytes of layers, as far as they are known.
    """
    known = [(sizes[wish.digest], wish.count) for wish in image.layers if wish.digest in sizes]
    if not known:
        return Cost(None, None, complete=False)
    return Cost(
        sum(size for size, _ in known),
        sum(size * count for size, count in known),
        complete=len(known) == len(image.layers),
    )


def as_recipe(heading: Heading, images: Sequence[WantedImage], sizes: Mapping[Digest, int]) -> str:
    """Write a recipe in DUCC's format, version 1 (``ducc/README.md``).

    Args:
        heading: what it says once.
        images: the most wanted first.
        sizes: bytes of layers, as far as they are known.
    """
    lines = [
        "# Images that were pulled here and lie on no source, the most wanted first.",
        "version: 1",
        f"user: {_quoted(heading.user)}",
        f"cvmfs_repo: {_quoted(heading.repository)}",
        f"output_format: {_quoted(heading.output_format)}",
        "input:" if images else "input: []",
    ]
    for image in images:
        lines.append(f"  # {_remark(image, cost_of(image, sizes))}")
        lines.append(f"  - {_quoted(image.reference.url)}")
    return "".join(f"{line}\n" for line in lines)


def as_plain(
    images: Sequence[WantedImage], sizes: Mapping[Digest, int]
) -> list[dict[str, object]]:
    """Give the images for a machine; what is not known is None."""
    return [_plain(image, sizes) for image in images]


def misses(wishes: Sequence[Wish]) -> list[dict[str, object]]:
    """Give all that was missed, for whatever reason, for a machine."""
    return [
        {
            "image": wish.image or None,
            "digest": str(wish.digest),
            "reason": wish.reason.value,
            "count": wish.count,
            "first_seen_at": moment(wish.first_seen_at),
            "last_seen_at": moment(wish.last_seen_at),
        }
        for wish in wishes
    ]


def _plain(image: WantedImage, sizes: Mapping[Digest, int]) -> dict[str, object]:
    cost = cost_of(image, sizes)
    return {
        "image": str(image.reference),
        "url": image.reference.url,
        "pulls": image.pulls,
        "first_seen_at": moment(image.first_seen_at),
        "last_seen_at": moment(image.last_seen_at),
        "missed_bytes": cost.size,
        "downloaded_bytes": cost.saved,
        "complete": cost.complete,
        "layers": [
            {"digest": str(wish.digest), "count": wish.count, "bytes": sizes.get(wish.digest)}
            for wish in image.layers
        ],
    }


def _remark(image: WantedImage, cost: Cost) -> str:
    said = (
        f"pulls: {image.pulls}, the last on {moment(image.last_seen_at)[:10]}; "
        f"missed layers: {len(image.layers)}"
    )
    if cost.size is None or cost.saved is None:
        return said
    least = "" if cost.complete else "at least "
    return f"{said}, {least}{in_bytes(cost.size)}; {least}{in_bytes(cost.saved)} downloaded"


def moment(nanoseconds: int) -> str:
    """Write a time, nanoseconds since the epoch, as RFC 3339 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(nanoseconds // 1_000_000_000))


def in_bytes(count: int) -> str:
    """Write a number of bytes for people."""
    if count < _STEP:
        return f"{count} B"
    number, unit = float(count), "B"
    for unit in _UNITS:  # noqa: B007 - the one at which the loop ends is wanted
        number /= _STEP
        if number < _STEP:
            break
    return f"{number:.1f} {unit}"


def _quoted(text: str) -> str:
    # YAML's single quotes: nothing in them means anything but the quote itself.
    return "'" + text.replace("'", "''") + "'"
