"""Layers for the tests, and a model of what a snapshotter has after each operation."""

import hashlib
from collections.abc import Mapping
from functools import cache

import attrs

from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.layer import Digest, chain_id
from cvmfs_snapshotter.domain.snapshot import Kind
from tests.harness.layers import Layer, directory, file, layer, opaque, whiteout

OK = "ok"
EXISTS = "AlreadyExistsError"
MISSING = "NotFoundError"
PRECONDITION = "FailedPreconditionError"
INVALID = "InvalidArgumentError"

MAPPED = {
    label_rules.UID_MAPPING: "0:1000:65536",
    label_rules.GID_MAPPING: "0:2000:65536",
}
"""Labels of a snapshot for a user namespace, whose root is user 1000 and group 2000."""


@cache
def layers() -> tuple[Layer, ...]:
    """Make the layers: one plain, two that need companions, and one that nobody publishes."""
    plain = layer(directory("etc"), file("etc/name", "plain"), file("etc/gone", "gone"))
    deleting = layer(
        directory("etc", 0o750, uid=5, gid=6),
        whiteout("etc/gone"),
        directory("var"),
        opaque("var"),
        file("var/new", "new"),
    )
    below = layer(directory("opt"), whiteout("opt/a"))
    unpublished = layer(directory("srv"), file("srv/x", "x"))
    return plain, deleting, below, unpublished


PUBLISHED = 3
"""So many of the layers are published."""


def digest_of(number: int) -> Digest:
    """Give the digest of a layer."""
    parsed = Digest.parse(layers()[number].digest)
    assert parsed is not None
    return parsed


def number_of(digest: Digest) -> int:
    """Give the number of the layer that has a digest."""
    return [layer.hexadecimal for layer in layers()].index(digest.hex)


@attrs.frozen
class Entry:
    """What is known of a snapshot.

    Attributes:
        parent: name of its parent in the model.
        layer: number of its layer; None for a local one.
        owner: user and group of the root of its files.
        payload: what lies in its files, empty for nothing.
    """

    kind: Kind
    parent: str
    labels: Mapping[str, str]
    layer: int | None = None
    owner: tuple[int, int] = (0, 0)
    payload: str = ""


State = Mapping[str, Entry]
"""Snapshots by name; a remote one has the name that ``remote_name`` gives."""


def remote_name(parent: str, target: str) -> str:
    """Give the name in the model of a remote snapshot, whose own name has a number in it."""
    return f"{target}@<{parent}>"


def target_of(state: State, parent: str, number: int) -> str:
    """Give the chain ID of a layer on top of a parent."""
    diff_id = Digest.parse(layers()[number].diff_id)
    assert diff_id is not None
    if not parent:
        return str(diff_id)
    labels = state[parent].labels if parent in state else {}
    below = Digest.parse(labels.get(label_rules.TARGET, ""))
    # containerd knows the chain ID of a local parent, the snapshotter does not.
    return str(chain_id(below or Digest(hashlib.sha256(parent.encode()).hexdigest()), diff_id))


PLAIN = remote_name("", target_of({}, "", 0))
"""The snapshot of the plain layer on nothing."""

DELETING = remote_name("", target_of({}, "", 1))
"""The snapshot, on nothing, of a layer that needs a companion."""
