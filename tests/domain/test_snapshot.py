"""The states of a snapshot and the transitions between them."""

import attrs
import pytest

from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain import snapshot as rules
from cvmfs_snapshotter.domain.errors import FailedPreconditionError, InvalidArgumentError
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot

TARGET = Digest("a" * 64)
LAYER = Layer("unpacked", Digest("b" * 64))


def made(kind: Kind, **changes: object) -> Snapshot:
    """Make a snapshot of a kind."""
    base = Snapshot(
        identifier=5,
        name="n",
        parent_identifier=0,
        parent="",
        kind=kind,
        created_at=1,
        updated_at=1,
        labels={"old": "1"},
    )
    return attrs.evolve(base, **changes)  # type: ignore[arg-type]


COMMITTED = made(Kind.COMMITTED, identifier=3, name="base")


@pytest.mark.parametrize("kind", [Kind.ACTIVE, Kind.VIEW])
def test_a_snapshot_begins_on_its_parent(kind: Kind) -> None:
    """A new snapshot has its parent's name and number, and both times are now."""
    begun = rules.begin(kind, "key", COMMITTED, {"a": "1"}, now=7)

    assert (kind, "key", 3, "base", 7, 7) == (
        begun.kind,
        begun.name,
        begun.parent_identifier,
        begun.parent,
        begun.created_at,
        begun.updated_at,
    )
    assert not begun.remote


@pytest.mark.parametrize("kind", [Kind.ACTIVE, Kind.VIEW])
def test_only_a_committed_snapshot_is_a_parent(kind: Kind) -> None:
    """Standing on anything else is the caller's mistake."""
    with pytest.raises(InvalidArgumentError, match="only a committed"):
        rules.begin(Kind.ACTIVE, "key", made(kind), {}, now=1)
    with pytest.raises(InvalidArgumentError, match="only a committed"):
        rules.provide(LAYER, TARGET, made(kind), {}, now=1)


def test_a_provided_layer_is_found_by_its_target_and_named_for_its_parent() -> None:
    """containerd finds it by label; its name is unique for parent and target."""
    on_base = rules.provide(LAYER, TARGET, COMMITTED, {"a": "1"}, now=7)
    alone = rules.provide(LAYER, TARGET, None, {}, now=7)

    assert f"{TARGET}@3" == on_base.name
    assert f"{TARGET}@0" == alone.name
    assert {"a": "1", label_rules.TARGET: str(TARGET), label_rules.MARKER: str(LAYER.digest)} == (
        on_base.labels
    )
    assert on_base.remote
    assert rules.NOTHING_LOCAL == on_base.usage
    assert Kind.COMMITTED is on_base.kind


def test_commit_replaces_labels_and_starts_times_anew() -> None:
    """As in containerd's storage, nothing of the active snapshot's labels and times remains."""
    committed = rules.commit(made(Kind.ACTIVE), "final", {"new": "2"}, now=9)

    assert (Kind.COMMITTED, "final", 5, 9, 9, {"new": "2"}) == (
        committed.kind,
        committed.name,
        committed.identifier,
        committed.created_at,
        committed.updated_at,
        committed.labels,
    )
    assert committed.usage is None


@pytest.mark.parametrize("kind", [Kind.VIEW, Kind.COMMITTED])
def test_only_an_active_snapshot_is_committed(kind: Kind) -> None:
    """A view has nothing to commit, and a committed one is done."""
    with pytest.raises(FailedPreconditionError, match="only an active"):
        rules.commit(made(kind), "final", {}, now=1)


def test_commit_may_set_a_parent_where_there_is_none() -> None:
    """containerd unpacks layers in parallel and names the parent at the end."""
    active = made(Kind.ACTIVE)

    assert rules.require_new_parent(active, "base")
    committed = rules.commit(active, "final", {}, now=1, new_parent=COMMITTED)
    assert (3, "base") == (committed.parent_identifier, committed.parent)


def test_commit_cannot_change_a_parent() -> None:
    """What a snapshot was made on is what it stands on."""
    standing = made(Kind.ACTIVE, parent_identifier=3, parent="base")

    assert not rules.require_new_parent(standing, "")
    assert not rules.require_new_parent(standing, "base")
    with pytest.raises(InvalidArgumentError, match="cannot become"):
        rules.require_new_parent(standing, "other")


@pytest.mark.parametrize("kind", [Kind.ACTIVE, Kind.VIEW])
def test_a_parent_set_by_commit_must_be_committed(kind: Kind) -> None:
    """Here the wrong kind of parent is a wrong state, as in containerd's storage."""
    with pytest.raises(FailedPreconditionError, match="only a committed"):
        rules.commit(made(Kind.ACTIVE), "final", {}, now=1, new_parent=made(kind))


def test_relabel_keeps_the_target_of_a_remote_snapshot() -> None:
    """containerd finds a remote snapshot by that label; a local one may lose it."""
    remote = rules.provide(LAYER, TARGET, None, {"a": "1"}, now=1)
    everything = label_rules.change_of([], {"b": "2"})
    local = made(Kind.COMMITTED, labels={label_rules.TARGET: str(TARGET)})

    assert {"b": "2", label_rules.TARGET: str(TARGET), label_rules.MARKER: str(LAYER.digest)} == (
        rules.relabel(remote, everything, now=2).labels
    )
    assert {"b": "2"} == rules.relabel(local, everything, now=2).labels
    assert 2 == rules.relabel(remote, everything, now=2).updated_at


def test_mounts_are_for_active_snapshots_and_views() -> None:
    """A committed snapshot is for standing on."""
    rules.require_mountable(made(Kind.ACTIVE))
    rules.require_mountable(made(Kind.VIEW))
    with pytest.raises(FailedPreconditionError, match="prepare or view a child"):
        rules.require_mountable(COMMITTED)


def test_a_snapshot_with_children_stays() -> None:
    """Children are removed first."""
    rules.require_childless(COMMITTED, has_children=False)
    with pytest.raises(FailedPreconditionError, match="remove them first"):
        rules.require_childless(COMMITTED, has_children=True)


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        (f"k8s.io/12/{TARGET}", {}, TARGET),
        ("anything", {label_rules.TARGET: str(TARGET)}, TARGET),
        (str(TARGET), {}, TARGET),
        ("k8s.io/12/custom", {}, None),
    ],
)
def test_a_chain_id_is_taken_from_label_or_name(
    name: str, labels: dict[str, str], expected: Digest | None
) -> None:
    """containerd names committed layers by their chain ID, behind namespace and number."""
    assert expected == made(Kind.COMMITTED, name=name, labels=labels).chain_id
