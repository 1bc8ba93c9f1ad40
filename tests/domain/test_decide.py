"""What contradicts a layer, and so keeps it from being served."""

import attrs
import pytest

from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.layer import Digest, chain_id
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from cvmfs_snapshotter.domain.usecases.decide import contradiction

DIFF_1, DIFF_2 = Digest("1" * 64), Digest("2" * 64)
CHAIN_2 = chain_id(DIFF_1, DIFF_2)
BELOW = Snapshot(
    identifier=1,
    name=f"k8s.io/1/{DIFF_1}",
    parent_identifier=0,
    parent="",
    kind=Kind.COMMITTED,
    created_at=0,
    updated_at=0,
    labels={},
)
NAMELESS = attrs.evolve(BELOW, name="k8s.io/1/custom")


@pytest.mark.parametrize(
    ("target", "parent", "published", "labels"),
    [
        (DIFF_1, None, DIFF_1, {}),
        (CHAIN_2, BELOW, DIFF_2, {}),
        (CHAIN_2, BELOW, None, {}),
        (CHAIN_2, BELOW, None, {label_rules.DIFF_ID: str(DIFF_2)}),
        (CHAIN_2, BELOW, DIFF_2, {label_rules.DIFF_ID: str(DIFF_2)}),
        (CHAIN_2, BELOW, DIFF_2, {label_rules.PARENT_CHAIN_ID: str(DIFF_1)}),
        (CHAIN_2, NAMELESS, DIFF_2, {}),
        (CHAIN_2, None, None, {}),
    ],
)
def test_what_fits_or_cannot_be_known_is_no_contradiction(
    target: Digest, parent: Snapshot | None, published: Digest | None, labels: dict[str, str]
) -> None:
    """Diff IDs are recorded later than layers, so their absence is no objection."""
    assert not contradiction(target, parent, published, labels)


@pytest.mark.parametrize(
    ("target", "parent", "published", "labels", "says"),
    [
        (DIFF_1, None, DIFF_2, {}, "gives chain ID"),
        (CHAIN_2, BELOW, DIFF_1, {}, "gives chain ID"),
        (CHAIN_2, None, DIFF_2, {}, "on 'nothing' gives"),
        (CHAIN_2, None, None, {label_rules.DIFF_ID: str(DIFF_2)}, "on 'nothing' gives"),
        (CHAIN_2, BELOW, DIFF_2, {label_rules.DIFF_ID: str(DIFF_1)}, "where it is published"),
        (CHAIN_2, BELOW, DIFF_2, {label_rules.DIFF_ID: "garbage"}, "where it is published"),
        (CHAIN_2, None, None, {label_rules.PARENT_CHAIN_ID: str(DIFF_1)}, "but is 'nothing'"),
        (CHAIN_2, BELOW, None, {label_rules.PARENT_CHAIN_ID: str(DIFF_2)}, "the parent should be"),
    ],
)
def test_what_does_not_fit_is_said_in_words(
    target: Digest,
    parent: Snapshot | None,
    published: Digest | None,
    labels: dict[str, str],
    says: str,
) -> None:
    """A layer is served only under the chain ID that its diff ID gives."""
    assert says in contradiction(target, parent, published, labels)
