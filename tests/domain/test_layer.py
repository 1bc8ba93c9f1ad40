"""Digests and chain IDs."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvmfs_snapshotter.domain.layer import Digest, chain_id

A = "a" * 64
B = "b" * 64


def test_a_digest_is_read_and_spelled_alike() -> None:
    """What ``parse`` takes, ``str`` gives back."""
    digest = Digest.parse(f"sha256:{A}")

    assert digest == Digest(A)
    assert f"sha256:{A}" == str(digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        A,
        ":",
        "sha256",
        "sha256:",
        f"sha512:{A}",
        f"SHA256:{A}",
        f"sha256:{A.upper()}",
        f"sha256:{A[:-1]}",
        f"sha256:{A}a",
        f"sha256:{A}\n",
        f" sha256:{A}",
        f"sha256:{A[:-1]}g",
        f"sha256:{A[:-2]}é",
        f"sha256:{A[:-1]}\0",
        f"sha256:{A[:-3]}../",
        f"sha256:{A[:-1]}٣",  # a digit, but not an ASCII one
        f"sha256::{A[:-1]}",
    ],
)
def test_anything_else_is_no_digest(text: str) -> None:
    """A digest is ``sha256:`` and 64 lower-case hexadecimal digits, nothing less or more."""
    assert Digest.parse(text) is None


@given(st.text())
def test_no_text_makes_parsing_fail(text: str) -> None:
    """Labels come from anybody: parsing never raises, and never lets a path character through."""
    digest = Digest.parse("sha256:" + text)

    assert digest is None or digest.hex == text


def test_chain_ids_follow_the_image_specification() -> None:
    """The bottom layer is named by its diff ID, every other by hashing parent and diff ID."""
    expected = hashlib.sha256(f"sha256:{A} sha256:{B}".encode()).hexdigest()

    assert Digest(A) == chain_id(None, Digest(A))
    assert Digest(expected) == chain_id(Digest(A), Digest(B))
