"""Which images are worth publishing."""

import attrs

from cvmfs_snapshotter.domain.layer import Digest, Reason
from cvmfs_snapshotter.domain.wishes import Wish, wanted_images

WISH = Wish("r.io/a:1", Digest("1" * 64), Reason.ABSENT, 1, 10, 20)
OTHER_LAYER = attrs.evolve(WISH, digest=Digest("2" * 64), count=3, first_seen_at=5)


def test_the_most_wanted_comes_first() -> None:
    """By pulls, then by how lately; a pull of several missing layers is one."""
    late = attrs.evolve(WISH, image="r.io/late:1", last_seen_at=30)
    found = wanted_images([WISH, late, OTHER_LAYER])

    assert ["r.io/a:1", "r.io/late:1"] == [str(image.reference) for image in found]
    assert (OTHER_LAYER, WISH) == found[0].layers
    assert (3, 5, 20) == (found[0].pulls, found[0].first_seen_at, found[0].last_seen_at)
    later = attrs.evolve(WISH, image="r.io/z:1", last_seen_at=31)
    assert ["r.io/z:1", "r.io/late:1"] == [str(i.reference) for i in wanted_images([late, later])]


def test_faults_and_policies_are_no_wishes() -> None:
    """Only what is published nowhere gets better by being published."""
    others = [attrs.evolve(WISH, reason=reason) for reason in Reason if reason != Reason.ABSENT]

    assert [] == list(wanted_images(others))


def test_images_without_a_name_are_left_out() -> None:
    """A recipe could not name them; nor what an older release may have recorded unread."""
    nameless = [attrs.evolve(WISH, image=image) for image in ("", "a:'1", "x\n- y")]

    assert [] == list(wanted_images(nameless))
