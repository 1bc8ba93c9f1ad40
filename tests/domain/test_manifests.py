"""Manifests and indexes, from registries and from DUCC."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.domain.manifests import (
    MAX_LAYERS,
    MAX_MANIFEST_BYTES,
    Configuration,
    Descriptor,
    Index,
    Manifest,
    read_configuration,
    read_manifest,
    why_never_published,
)

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
DIGEST = Digest("1" * 64)
OTHER = f"sha512:{'2' * 128}"


@pytest.mark.parametrize("change", [str.lower, str.title, str.upper])
def test_a_manifest(change: object) -> None:
    """Keys may be written in any case: DUCC's copy has Go's capital letters."""
    text = json.dumps(
        {
            "config": {"mediaType": "c", "size": 3, "digest": str(DIGEST)},
            "layers": [
                {"mediaType": GZIP, "size": 7, "digest": str(DIGEST)},
                {"digest": OTHER, "size": -1},
            ],
        }
    )
    for key in ("config", "layers", "mediaType", "size", "digest"):
        text = text.replace(f'"{key}"', f'"{change(key)}"')  # type: ignore[operator]
    expected = Manifest(
        Descriptor("c", DIGEST, 3, spelled=str(DIGEST)),
        (
            Descriptor(GZIP, DIGEST, 7, spelled=str(DIGEST)),
            Descriptor("", None, None, spelled=OTHER),
        ),
    )

    assert expected == read_manifest(text.encode())


def test_an_index() -> None:
    """Each manifest with its platform, as far as that is written."""
    manifests = [
        {"digest": str(DIGEST), "platform": {"os": "linux", "architecture": "amd64"}},
        {
            "digest": str(DIGEST),
            "platform": {"os": "linux", "architecture": "arm", "variant": "v7"},
        },
        {"digest": str(DIGEST), "platform": {"os": "linux"}},
        {"digest": str(DIGEST)},
    ]
    found = read_manifest(json.dumps({"manifests": manifests}).encode())

    assert isinstance(found, Index)
    assert ["linux/amd64", "linux/arm/v7", "", ""] == [m.platform for m in found.manifests]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"layers": {}}',
        b'{"layers": [1]}',
        b'{"layers": [{"size": 1}]}',
        b'{"manifests": [{"digest": 1}]}',
        b'{"layers": []' + b" " * MAX_MANIFEST_BYTES + b"}",
        json.dumps({"layers": [{"digest": "x"}] * (MAX_LAYERS + 1)}).encode(),
    ],
    ids=lambda data: f"{data[:20]!r}-{len(data)}",
)
def test_what_is_neither(data: bytes) -> None:
    """Half a manifest is none: a layer that was left out would be missing from the answer."""
    assert read_manifest(data) is None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda s: (
            st.lists(s)
            | st.dictionaries(
                st.sampled_from(["layers", "manifests", "digest", "size", "config"]), s
            )
        ),
    )
)
def test_any_json_is_read(value: object) -> None:
    """Whatever it is, there is an answer and no error."""
    data = json.dumps(value).encode()
    assert isinstance(read_manifest(data), Manifest | Index | None)
    assert isinstance(read_configuration(data), Configuration)


def test_a_configuration() -> None:
    """As the OCI image specification has it; nothing where it is not said, or not all of it."""
    written = {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "rootfs": {"type": "layers", "diff_ids": [str(DIGEST)]},
    }
    expected = Configuration("linux/arm64/v8", (DIGEST,))
    assert expected == read_configuration(json.dumps(written).encode())

    wrong: list[object] = [[str(DIGEST), OTHER], [str(DIGEST), 1], "x", {}]
    for diff_ids in wrong:
        data = json.dumps({"rootfs": {"diff_ids": diff_ids}}).encode()
        assert Configuration() == read_configuration(data)
    for data in (b"x", b"[]", b" " * (MAX_MANIFEST_BYTES + 1), b"[" * 100_000):
        assert Configuration() == read_configuration(data)


DOCKER = "application/vnd.docker.image.rootfs"


@pytest.mark.parametrize(
    ("media_type", "platform", "expected"),
    [
        (GZIP, "linux/amd64", ""),
        (GZIP, "linux/amd64/v2", ""),
        (f"{DOCKER}.diff.tar.gzip", "", ""),
        ("", "", ""),
        (GZIP.replace("gzip", "zstd"), "linux/amd64", "zstd"),
        (f"{DOCKER}.diff.tar.zstd", "linux/amd64", "zstd"),
        (f"{DOCKER}.foreign.diff.tar.gzip", "linux/amd64", "foreign"),
        (GZIP.replace("layer.", "layer.nondistributable."), "", "foreign"),
        (GZIP.removesuffix("+gzip"), "linux/amd64", "only gzip"),
        (f"{DOCKER}.diff.tar", "linux/amd64", "only gzip"),
        (GZIP, "linux/arm64/v8", "image is for linux/arm64/v8"),
    ],
)
def test_what_is_never_published(media_type: str, platform: str, expected: str) -> None:
    """What DUCC cannot convert, or does not."""
    why = why_never_published(Descriptor(media_type, DIGEST, 1), platform)
    assert expected in why
    assert bool(expected) == bool(why)


def test_a_digest_under_another_algorithm_is_never_published() -> None:
    """Layers lie under their sha256 digests."""
    layer = Descriptor(GZIP, None, 1, spelled=OTHER)
    assert "not under sha256" in why_never_published(layer, "linux/amd64")
