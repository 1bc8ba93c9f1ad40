"""Manifests and indexes, from registries and from DUCC."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.domain.manifests import (
    MAX_LAYERS,
    MAX_MANIFEST_BYTES,
    Descriptor,
    Index,
    Manifest,
    platforms_of,
    read_manifest,
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
    assert isinstance(platforms_of(data), str)


def test_the_platform_of_a_configuration() -> None:
    """As the OCI image specification has it; nothing where it is not said."""
    assert "linux/arm64/v8" == platforms_of(
        b'{"architecture": "arm64", "os": "linux", "variant": "v8", "rootfs": {}}'
    )
    assert "" == platforms_of(b'{"rootfs": {}}')
    assert "" == platforms_of(b"x")
    assert "" == platforms_of(b" " * (MAX_MANIFEST_BYTES + 1))
