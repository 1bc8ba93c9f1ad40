"""Layers that were asked for and had to be downloaded."""

from collections.abc import Iterable, Sequence

import attrs

from .layer import Digest, Reason
from .references import Reference

MOST_WISHES = 10_000
"""How many are remembered; those that were not seen for longest are forgotten first."""


@attrs.frozen
class Wish:
    """A layer that was missed, for one image and one reason.

    Attributes:
        image: the image's reference, spelled as containerd does; empty if it is not known.
        digest: digest of the compressed layer.
        reason: why it was missed.
        count: how often.
        first_seen_at: when first, nanoseconds since the epoch, UTC.
        last_seen_at: when last.
    """

    image: str
    digest: Digest
    reason: Reason
    count: int
    first_seen_at: int
    last_seen_at: int

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others, in the order in which those of one time are listed."""
        return self.digest.hex, self.image, self.reason.value

    def merged(self, other: "Wish") -> "Wish":
        """Add what was seen of the same one at other times."""
        return attrs.evolve(
            self,
            count=self.count + other.count,
            first_seen_at=min(self.first_seen_at, other.first_seen_at),
            last_seen_at=max(self.last_seen_at, other.last_seen_at),
        )


@attrs.frozen
class WantedImage:
    """An image that is worth publishing.

    Attributes:
        reference: its name.
        layers: layers that were missed because they are published nowhere.
        pulls: how often it was pulled in vain, at least: the most misses of one of its layers.
        first_seen_at: when first, nanoseconds since the epoch, UTC.
        last_seen_at: when last.
    """

    reference: Reference
    layers: tuple[Wish, ...]
    pulls: int
    first_seen_at: int
    last_seen_at: int


def wanted_images(wishes: Iterable[Wish]) -> Sequence[WantedImage]:
    """Give the images to publish, the most wanted first.

    Only what is published nowhere counts: a layer that a source has and that was missed because
    of a fault or a policy does not become better by being published.

    Args:
        wishes: what was missed.
    """
    found: dict[str, list[Wish]] = {}
    for wish in wishes:
        if wish.reason is Reason.ABSENT:
            found.setdefault(wish.image, []).append(wish)
    images = []
    for name, layers in found.items():
        reference = Reference.parse(name)
        if reference is not None:
            images.append(_wanted(reference, layers))
    return sorted(images, key=lambda one: (-one.pulls, -one.last_seen_at, str(one.reference)))


def _wanted(reference: Reference, layers: Sequence[Wish]) -> WantedImage:
    return WantedImage(
        reference,
        tuple(sorted(layers, key=lambda wish: (-wish.count, wish.key))),
        max(wish.count for wish in layers),
        min(wish.first_seen_at for wish in layers),
        max(wish.last_seen_at for wish in layers),
    )
