"""Names of images, as they come from strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.domain.references import MAX_LENGTH, Reference

DIGEST = Digest("ab" * 32)
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "docker.io/library/busybox:1.36",
            Reference("docker.io", "library/busybox", "1.36", None),
        ),
        ("localhost/a:B_1", Reference("localhost", "a", "B_1", None)),
        ("127.0.0.1:5000/a/b-c__d.e", Reference("127.0.0.1:5000", "a/b-c__d.e", "latest", None)),
        (f"ghcr.io/a/b@{DIGEST}", Reference("ghcr.io", "a/b", "", DIGEST)),
        (f"ghcr.io/a/b:v1@{DIGEST}", Reference("ghcr.io", "a/b", "v1", DIGEST)),
    ],
)
def test_references(text: str, expected: Reference) -> None:
    """Registry, repository, tag and digest; a tag is made up only where nothing else is named."""
    assert expected == Reference.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "busybox",
        "library/busybox:1",
        "docker.io/",
        "docker.io/A:1",
        "docker.io//a:1",
        "docker.io/a/../b:1",
        "docker.io/a:1\n",
        "docker.io/a:1 # x",
        "docker.io/a:'1",
        "docker.io/a:-1",
        "docker.io/a:*",
        f"docker.io/a:{'1' * 129}",
        "docker.io/a@sha256:ab",
        f"docker.io/a@sha512:{'ab' * 32}",
        "https://docker.io/a:1",
        "user@docker.io/a:1",
        "docker.io:123456/a:1",
        "-docker.io/a:1",
        "dócker.io/a:1",
        "docker.io/\u0661:1",
        f"docker.io/{'a' * MAX_LENGTH}:1",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    """Whatever does not follow the grammar to the letter is nothing."""
    assert Reference.parse(text) is None


@given(st.text() | st.from_regex(r"[a-z.:]+/[a-z/:@'\n#]+"))
def test_nothing_slips_through(text: str) -> None:
    """Of any text at all, what comes out has no character that means something to YAML or a path.

    Reading what it was spelled as gives the same.
    """
    found = Reference.parse(text)
    if found is not None:
        assert PLAIN.issuperset(found.url)
        assert "/../" not in found.url
        assert found == Reference.parse(str(found))


def test_the_grammar_is_read_in_linear_time() -> None:
    """A name made to be tried in many ways is refused at once."""
    assert Reference.parse(f"docker.io/{'a-' * 500}!") is None
    assert Reference.parse(f"{'a' * 60}{'.a-' * 300}/!") is None


def test_docker_hub_has_another_name() -> None:
    """DUCC reaches Docker Hub by its API's host; other registries go by one name."""
    hub = Reference("docker.io", "library/busybox", "1", None)
    other = Reference("ghcr.io", "a/b", "v1", DIGEST)

    assert "https://registry.hub.docker.com/library/busybox:1" == hub.url
    assert hub.published_names == (
        "registry.hub.docker.com/library/busybox:1",
        "docker.io/library/busybox:1",
    )
    assert f"https://ghcr.io/a/b:v1@{DIGEST}" == other.url
    assert (f"ghcr.io/a/b:v1@{DIGEST}",) == other.published_names
