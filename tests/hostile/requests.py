"""Requests that nobody sends who means well, as the bytes on the wire."""

import random
from collections.abc import Mapping

from google.protobuf.message import Message
from hypothesis import strategies as st

from cvmfs_snapshotter.domain import labels
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2 as pb

KNOWN = ("base", "top", "active", "view", "removed")
"""Names of snapshots that are there, and of one that was."""

DIGEST = "sha256:" + "ab" * 32
PUBLISHED = "sha256:" + "cd" * 32
"""Digest of a layer that a source has."""

TEXTS = (
    *KNOWN,
    *("", ".", "..", "/", "\0", "a\0b", "\n", "\x7f", "\ufffe", "\U0010ffff", "é", "\u202e"),
    *("../../../etc/passwd", "/etc/passwd", "snapshots/1/fs", "1", "0", "-1", "%s%n", "%00"),
    *("x" * 4096, "ü" * 17_000, DIGEST, PUBLISHED, f"{DIGEST}@0", "sha256:" + "AB" * 32),
    *("sha256:", "sha512:" + "ab" * 64, "' OR 1=1 --", '"; DROP TABLE snapshots; --', "NaN"),
)
KEYS = (
    labels.TARGET,
    labels.LAYER_DIGEST,
    labels.DIFF_ID,
    labels.PARENT_CHAIN_ID,
    labels.UID_MAPPING,
    labels.GID_MAPPING,
    labels.MARKER,
    *("", "a", "\0", "x" * 4096, "containerd.io/gc.root"),
)
VALUES = (
    *TEXTS,
    *(
        "0:0:1",
        "0:4294967295:1",
        "0:" + "9" * 400 + ":1",
        "\u0660:\u0661:\u0662",
        "0:-1:1",
        ",",
        "0:0:0",
    ),
)
PATHS = ("labels", "labels.", "labels.a", f"labels.{labels.TARGET}", "name", "", ".", "labels.\0")
FILTERS = (
    *("", "name==base", "kind", "labels.a", f'labels."{labels.TARGET}"=={DIGEST},parent==""'),
    *("name~=/(a?){1000}/", "name~=(", "name~=|\\|", 'name=="\\xff"', "=", ",", "name==", '"'),
    *("name!=x", "labels.\0", "kind==committed,", "ümlaut==x", "name~=" + "a" * 999, "a.b.c.d"),
    *("name" + "." * 300, 'labels."' + "\\" * 301, "\t\n ", "name=~x", "name===x"),
)
METHODS: Mapping[str, type[Message]] = {
    "Prepare": pb.PrepareSnapshotRequest,
    "View": pb.ViewSnapshotRequest,
    "Mounts": pb.MountsRequest,
    "Commit": pb.CommitSnapshotRequest,
    "Remove": pb.RemoveSnapshotRequest,
    "Stat": pb.StatSnapshotRequest,
    "Update": pb.UpdateSnapshotRequest,
    "List": pb.ListSnapshotsRequest,
    "Usage": pb.UsageRequest,
    "Cleanup": pb.CleanupRequest,
}

texts = st.sampled_from(TEXTS) | st.text(max_size=20)
label_maps = st.dictionaries(
    st.sampled_from(KEYS) | st.text(max_size=8),
    st.sampled_from(VALUES) | st.text(max_size=20),
    max_size=5,
)
filters = st.lists(
    st.sampled_from(FILTERS) | st.text('namekidlbs.=!~"/|\\,x01 (*)[]+?{}^$', max_size=40),
    max_size=4,
)
messages = st.one_of(
    st.tuples(
        st.sampled_from(["Prepare", "View"]),
        st.fixed_dictionaries({"key": texts, "parent": texts, "labels": label_maps}),
    ),
    st.tuples(
        st.just("Commit"),
        st.fixed_dictionaries(
            {"name": texts, "key": texts, "labels": label_maps, "parent": texts}
        ),
    ),
    st.tuples(
        st.sampled_from(["Mounts", "Remove", "Stat", "Usage"]),
        st.fixed_dictionaries({"key": texts}),
    ),
    st.tuples(
        st.just("Update"),
        st.fixed_dictionaries(
            {
                "info": st.fixed_dictionaries({"name": texts, "labels": label_maps}),
                "update_mask": st.fixed_dictionaries(
                    {"paths": st.lists(st.sampled_from(PATHS) | st.text(max_size=8), max_size=4)}
                ),
            }
        ),
    ),
    st.tuples(st.just("List"), st.fixed_dictionaries({"filters": filters})),
    st.tuples(st.just("Cleanup"), st.just({})),
)
"""A call and the fields of its request."""


def written(method: str, fields: Mapping[str, object]) -> bytes:
    """Give the bytes of a request."""
    return METHODS[method](**fields).SerializeToString()


def made_up(chance: random.Random) -> tuple[str, bytes]:
    """Make up a request: fields from the tables above, and often some of its bytes changed."""
    method = chance.choice([*METHODS])
    data = bytearray(written(method, _fields(method, chance)))
    for _ in range(chance.choice([0, 0, 1, 1, 2, 5])):
        _damage(data, chance)
    return method, bytes(data)


def noise(chance: random.Random) -> bytes:
    """Make up bytes that are not meant to be anything."""
    data = bytearray(chance.randbytes(chance.randrange(40)))
    for _ in range(chance.randrange(4)):
        _damage(data, chance)
    return bytes(data)


def _fields(method: str, chance: random.Random) -> dict[str, object]:
    def text() -> str:
        return chance.choice(TEXTS)

    def some_labels() -> dict[str, str]:
        count = chance.choice([0, 1, 2, 6])
        return {chance.choice(KEYS): chance.choice(VALUES) for _ in range(count)}

    match method:
        case "Prepare" | "View":
            return {"key": text(), "parent": text(), "labels": some_labels()}
        case "Commit":
            return {"name": text(), "key": text(), "labels": some_labels(), "parent": text()}
        case "Update":
            paths = [chance.choice(PATHS) for _ in range(chance.randrange(3))]
            info = {"name": text(), "labels": some_labels()}
            return {"info": info, "update_mask": {"paths": paths}}
        case "List":
            return {"filters": [chance.choice(FILTERS) for _ in range(chance.randrange(4))]}
        case "Cleanup":
            return {}
        case _:
            return {"key": text()}


_PIECES = (
    b"\xff\xfe",  # no UTF-8
    b"\xed\xa0\x80",  # a surrogate
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # the largest number
    b"\xfa\x3f\x05hello",  # an unknown field
    b"\x0b\x0c",  # a group, as protobuf once had them
    b"\x22\x06\x0a\x01a\x12\x01\xff",  # an entry of a map whose value is no UTF-8
    b"\x22\x00",  # an entry of a map without key and value
    b"\x12\xff\xff\xff\x7f",  # a text of two gigabytes
    b"\x00",
)


def _damage(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    match chance.randrange(4):
        case 0:
            data[at:at] = chance.choice(_PIECES)
        case 1:
            data += chance.choice(_PIECES)
        case 2:
            del data[at : at + chance.randrange(1, 9)]
        case _:
            data[at : at + 1] = chance.randbytes(1)
