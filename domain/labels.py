"""The labels that matter to a snapshotter, and how untrusted ones are read.

Image authors reach us here: annotations of a layer that begin with ``containerd.io/snapshot/`` are
copied into the labels of a Prepare.
"""

from collections.abc import Mapping, Sequence

import attrs

from .errors import InvalidArgumentError

TARGET = "containerd.io/snapshot.ref"
"""Chain ID of the committed snapshot that the caller would like to have (containerd, since
1.4)."""

LAYER_DIGEST = "containerd.io/snapshot/cri.layer-digest"
"""Digest of the compressed layer (CRI, the transfer service, nerdctl and Docker send it)."""

IMAGE = "containerd.io/snapshot/cri.image-ref"
"""Reference of the image that is pulled (from whoever sends the layer's digest)."""

DIFF_ID = "containerd.io/snapshot/diff-id"
"""Digest of the uncompressed layer (containerd, since 2.3)."""

PARENT_CHAIN_ID = "containerd.io/snapshot/parent-chain-id"
"""Chain ID of the parent (containerd, since 2.3)."""

UID_MAPPING = "containerd.io/snapshot/uidmapping"
"""User IDs of a user namespace: ``container:host:size``, several separated by commas."""

GID_MAPPING = "containerd.io/snapshot/gidmapping"
"""Group IDs of a user namespace, in the same form."""

MARKER = "containerd.io/snapshot/cvmfs.layer"
"""Ours: names the layer behind a remote snapshot. containerd merges it into its own record."""

OVER_NOTHING = "containerd.io/snapshot/cvmfs.over-nothing"
"""Ours: an active snapshot without a parent is mounted as an overlay all the same, because it gets
its parent at Commit. containerd turns whiteouts into overlayfs's own only when it unpacks onto an
overlay (``pkg/archive`` and ``core/diff/apply``)."""

_OURS = (MARKER, OVER_NOTHING)

MAX_LABEL_BYTES = 4096
"""Longest label, key and value together (containerd, ``pkg/labels/validate.go``)."""

MAX_LABELS_BYTES = 15 * 1024 * 1024
"""Most that all labels of a snapshot may take, so that its record fits a message of 16 MiB."""

MAX_LABELS = 10_000
"""Most labels of a snapshot. They are stored one by one while nobody else can write, and an image
may have annotations by the hundred thousand."""

_MAX_ID = 2**32 - 2


def checked(labels: Mapping[str, str]) -> dict[str, str]:
    """Check labels that came in and drop what is not stored.

    Empty values are dropped, as containerd's own storage does: that is how a label is deleted. Our
    own labels are ours alone; whatever a caller claims under them is dropped too.

    Args:
        labels: labels of a request.

    Returns:
        The labels to store.

    Raises:
        InvalidArgumentError: a label is longer than ``MAX_LABEL_BYTES``, all together take more
            than ``MAX_LABELS_BYTES``, or there are more than ``MAX_LABELS``.
    """
    _check_sum(labels)
    for key, value in labels.items():
        _check_length(key, value)
    return {key: value for key, value in labels.items() if value and key not in _OURS}


def _bytes(text: str) -> int:
    # Python knows of each string whether it is ASCII, as nearly all labels are.
    return len(text) if text.isascii() else len(text.encode())


def _check_length(key: str, value: str) -> None:
    # Code points first: a string that is too long by that count needs no encoding to know.
    length = len(key) + len(value)
    if length <= MAX_LABEL_BYTES:
        length = _bytes(key) + _bytes(value)
    if length > MAX_LABEL_BYTES:
        raise InvalidArgumentError(
            f"label {key[:64]!r} has {length} bytes with its value; "
            f"at most {MAX_LABEL_BYTES} are allowed"
        )


def _check_sum(labels: Mapping[str, str]) -> None:
    if len(labels) > MAX_LABELS:
        raise InvalidArgumentError(
            f"there are {len(labels)} labels; at most {MAX_LABELS} are allowed"
        )
    total = sum(_bytes(key) + _bytes(value) for key, value in labels.items())
    if total > MAX_LABELS_BYTES:
        raise InvalidArgumentError(
            f"the labels have {total} bytes together; at most {MAX_LABELS_BYTES} are allowed"
        )


@attrs.frozen
class LabelChange:
    """What an Update does to labels.

    Attributes:
        replace: all labels from now on; None if single ones are changed.
        change: single labels; an empty value deletes.
    """

    replace: Mapping[str, str] | None
    change: Mapping[str, str]

    def apply(self, labels: Mapping[str, str], *, keep: Mapping[str, str]) -> dict[str, str]:
        """Carry the change out.

        Args:
            labels: the labels so far.
            keep: labels that must stay as they are. Replacing all labels leaves them in place;
                naming another value for one of them is refused.

        Returns:
            The labels after it.

        Raises:
            InvalidArgumentError: the change sets or deletes one of those to keep, or the labels
                would take more than ``MAX_LABELS_BYTES`` or be more than ``MAX_LABELS``.
        """
        after = dict(labels) if self.replace is None else dict(self.replace)
        named = self.change if self.replace is None else self.replace
        for key, value in keep.items():
            if named.get(key, value) != value:
                raise InvalidArgumentError(
                    f"label {key!r} of a remote snapshot cannot be changed: "
                    "containerd finds the snapshot by it"
                )
        for key, value in self.change.items():
            if value:
                after[key] = value
            else:
                after.pop(key, None)
        after.update({key: labels[key] for key in _OURS if key in labels})
        after.update(keep)
        _check_sum(after)
        return after


def change_of(paths: Sequence[str], labels: Mapping[str, str]) -> LabelChange:
    """Read the field mask of an Update.

    No path or ``labels`` replaces all labels; ``labels.<key>`` sets or deletes one. containerd
    forwards its caller's paths but only the values that it inherits, so a path without a value is
    normal and deletes.

    Args:
        paths: the mask.
        labels: the labels of the request.

    Returns:
        The change.

    Raises:
        InvalidArgumentError: a path names something that cannot be changed, or a label is too
        long.
    """
    given = checked(labels)
    if not paths:
        return LabelChange(replace=given, change={})
    replace: dict[str, str] | None = None
    change: dict[str, str] = {}
    for path in paths:
        prefix, dot, key = path.partition(".")
        if path == "labels":
            replace = given
        elif prefix == "labels" and dot and key:
            if key not in _OURS:
                change[key] = given.get(key, "")
        else:
            raise InvalidArgumentError(
                f"field {path[:64]!r} cannot be changed: only 'labels' and 'labels.<key>' can"
            )
    return LabelChange(replace=replace, change={} if replace is not None else change)


def mapped_root(labels: Mapping[str, str]) -> tuple[int, int] | None:
    """Find the host's user and group that are root inside a user namespace.

    With a target the labels are those of a pull, into which containerd copies the annotations of
    the image. What cannot be meant there is its author's, and is passed over: an annotation must
    not keep an image from being pulled, and nothing runs on the snapshot of an extraction. Without
    a target they are the client's own, who wants a container to run on the snapshot.

    Args:
        labels: checked labels.

    Returns:
        User and group ID on the host, or None if the labels ask for no mapping.

    Raises:
        InvalidArgumentError: there is no target, and a mapping cannot be read, only one of the two
            is there, or it does not map root.
    """
    try:
        return _mapped_root(labels)
    except InvalidArgumentError:
        if TARGET in labels:
            return None
        raise


def _mapped_root(labels: Mapping[str, str]) -> tuple[int, int] | None:
    uid, gid = labels.get(UID_MAPPING), labels.get(GID_MAPPING)
    if uid is None and gid is None:
        return None
    if uid is None or gid is None:
        present, missing = (
            (UID_MAPPING, GID_MAPPING) if gid is None else (GID_MAPPING, UID_MAPPING)
        )
        raise InvalidArgumentError(f"label {present!r} needs label {missing!r} beside it")
    return _host_root(UID_MAPPING, uid), _host_root(GID_MAPPING, gid)


def _host_root(label: str, mapping: str) -> int:
    for part in mapping.split(","):
        numbers = part.split(":")
        if len(numbers) != 3 or not all(n.isascii() and n.isdigit() for n in numbers):  # noqa: PLR2004 - container, host, size
            raise InvalidArgumentError(
                f"label {label!r}: {part[:64]!r} is not of the form container:host:size"
            )
        inside, outside, size = (int(n) for n in numbers)
        if outside + size - 1 > _MAX_ID:
            raise InvalidArgumentError(f"label {label!r}: {part[:64]!r} goes beyond 32 bits")
        if inside == 0 and size > 0:
            return outside
    raise InvalidArgumentError(f"label {label!r} does not map ID 0")
