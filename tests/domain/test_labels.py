"""Labels: limits, deletion, field masks, user-namespace mappings."""

import pytest

from cvmfs_snapshotter.domain import labels
from cvmfs_snapshotter.domain.errors import InvalidArgumentError


def test_empty_values_are_not_stored() -> None:
    """An empty value deletes a label, as in containerd's own storage."""
    assert {"a": "1"} == labels.checked({"a": "1", "b": ""})


def test_the_marker_cannot_be_claimed() -> None:
    """Only the daemon says which layer is behind a snapshot."""
    assert {} == labels.checked({labels.MARKER: "sha256:forged"})


@pytest.mark.parametrize("value", ["x" * 4095, "é" * 2047 + "x"])
def test_a_label_of_4096_bytes_is_allowed(value: str) -> None:
    """containerd allows 4096 bytes for key and value together, counted in UTF-8."""
    assert {"k": value} == labels.checked({"k": value})


@pytest.mark.parametrize(
    ("key", "value"), [("k", "x" * 4096), ("k", "é" * 2048), ("k" * 4097, "")]
)
def test_a_longer_label_is_refused(key: str, value: str) -> None:
    """One byte more is an error, also where the value is empty."""
    with pytest.raises(InvalidArgumentError, match="at most 4096"):
        labels.checked({key: value})


@pytest.mark.parametrize("paths", [[], ["labels"], ["labels", "labels.a"], ["labels.a", "labels"]])
def test_no_path_and_labels_replace_all(paths: list[str]) -> None:
    """An empty mask and ``labels`` both mean all labels."""
    change = labels.change_of(paths, {"a": "2", "c": "3"})

    assert {"a": "2", "c": "3"} == change.apply({"a": "1", "b": "1"}, keep={})


def test_single_labels_are_set_and_deleted() -> None:
    """``labels.<key>`` sets a label, and deletes it where the request has no value for it."""
    change = labels.change_of(["labels.a", "labels.b.c", "labels.gone"], {"a": "2", "b.c": "3"})

    assert {"a": "2", "b.c": "3", "z": "1"} == change.apply(
        {"a": "1", "gone": "1", "z": "1"}, keep={}
    )


def test_a_value_without_its_path_is_ignored() -> None:
    """Only what the mask names is changed."""
    change = labels.change_of(["labels.a"], {"a": "2", "b": "2"})

    assert {"a": "2"} == change.apply({}, keep={})


@pytest.mark.parametrize("path", ["name", "kind", "labels.", "label", "labelsx.a", "", "parent"])
def test_other_paths_are_refused(path: str) -> None:
    """Only labels can be changed."""
    with pytest.raises(InvalidArgumentError, match="cannot be changed"):
        labels.change_of([path], {})


def test_a_kept_label_survives_replacement() -> None:
    """Replacing all labels leaves those in place that containerd finds the snapshot by."""
    change = labels.change_of([], {"a": "1"})

    assert {"a": "1", "ref": "T"} == change.apply({"ref": "T"}, keep={"ref": "T"})


@pytest.mark.parametrize(
    ("paths", "values"),
    [(["labels.ref"], {}), (["labels.ref"], {"ref": "other"}), (["labels"], {"ref": "other"})],
)
def test_a_kept_label_cannot_be_changed(paths: list[str], values: dict[str, str]) -> None:
    """Setting or deleting such a label is an error."""
    change = labels.change_of(paths, values)

    with pytest.raises(InvalidArgumentError, match="cannot be changed"):
        change.apply({"ref": "T"}, keep={"ref": "T"})


def test_naming_the_same_value_again_is_no_change() -> None:
    """containerd may send a kept label along; that is fine as long as it says the same."""
    change = labels.change_of(["labels"], {"ref": "T", "a": "1"})

    assert {"ref": "T", "a": "1"} == change.apply({"ref": "T"}, keep={"ref": "T"})


def test_the_marker_survives_every_change() -> None:
    """Neither replacing nor naming it takes the marker away."""
    before = {labels.MARKER: "sha256:x"}

    assert before == labels.change_of([], {}).apply(before, keep={})
    assert before == labels.change_of([f"labels.{labels.MARKER}"], {}).apply(before, keep={})


def test_a_mapping_gives_the_host_ids_of_root() -> None:
    """Root inside is found among several ranges."""
    given = {labels.UID_MAPPING: "1000:0:1,0:70000:1000", labels.GID_MAPPING: "0:80000:1"}

    assert (70000, 80000) == labels.mapped_root(given)
    assert labels.mapped_root({}) is None


@pytest.mark.parametrize(
    "mapping",
    ["", "0", "0:1", "a:1:1", "0:-1:1", "0:1:1:1", "1:1:1", "0:1:0", "0:4294967295:1", "٣:1:1"],
)
def test_a_mapping_that_cannot_be_meant_is_refused(mapping: str) -> None:
    """A malformed mapping, or one without root, is an error rather than a wrong owner."""
    given = {labels.UID_MAPPING: mapping, labels.GID_MAPPING: "0:1:1"}

    with pytest.raises(InvalidArgumentError, match="uidmapping"):
        labels.mapped_root(given)


def test_mappings_of_a_pull_count_where_they_can_be_meant() -> None:
    """A client that remaps a whole image says so in its pull; an author's nonsense is ignored."""
    target = {labels.TARGET: "x"}
    good = {labels.UID_MAPPING: "0:70000:1000", labels.GID_MAPPING: "0:80000:1"}

    assert (70000, 80000) == labels.mapped_root(target | good)
    assert labels.mapped_root(target | good | {labels.GID_MAPPING: "0:-1:1"}) is None
    assert labels.mapped_root(target | {labels.UID_MAPPING: "0:70000:1000"}) is None


@pytest.mark.parametrize("label", [labels.UID_MAPPING, labels.GID_MAPPING])
def test_one_mapping_needs_the_other(label: str) -> None:
    """User and group mappings come together."""
    with pytest.raises(InvalidArgumentError, match="beside it"):
        labels.mapped_root({label: "0:1:1"})


def test_all_labels_together_have_a_limit() -> None:
    """A record must fit a message, however many labels are set one after the other."""
    half = {f"k{number}": "x" * 4000 for number in range(2000)}
    other = {f"l{number}": "x" * 4000 for number in range(2000)}

    assert half == labels.checked(half)
    with pytest.raises(InvalidArgumentError, match="together"):
        labels.checked({**half, **other})
    change = labels.change_of([f"labels.{key}" for key in other], other)
    with pytest.raises(InvalidArgumentError, match="together"):
        change.apply(half, keep={})


def test_labels_are_counted() -> None:
    """A snapshot has so many labels at most, whether they come at once or one by one."""
    most = {str(number): "v" for number in range(labels.MAX_LABELS)}
    assert most == labels.checked(most)
    with pytest.raises(InvalidArgumentError, match="10001 labels"):
        labels.checked(most | {"k": "v"})
    change = labels.change_of(["labels.k"], {"k": "v"})
    with pytest.raises(InvalidArgumentError, match="10001 labels"):
        change.apply(most, keep={})
