import pytest

from cvmfs_snapshotter.adapters.tracing.settings import Endpoint, TracingSettings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:4318", Endpoint(False, "127.0.0.1", 4318, "/v1/traces")),
        ("http://127.0.0.1", Endpoint(False, "127.0.0.1", 4318, "/v1/traces")),
        ("http://[::1]:80/", Endpoint(False, "::1", 80, "/v1/traces")),
        ("https://a.example/otlp?x=1", Endpoint(True, "a.example", 4318, "/otlp?x=1")),
    ],
)
def test_endpoints(text: str, expected: Endpoint) -> None:
    """What is left out is OTLP's own; what an endpoint says of itself means the same again."""
    assert expected == Endpoint.parse(text)
    assert expected == Endpoint.parse(str(expected))


@pytest.mark.parametrize(
    "text",
    [
        *("", "127.0.0.1:4318", "grpc://a:1", "http://", "http://a:0", "http://a:70000"),
        *("http://a b", "http://a\n", "http://user:secret@a", "http://a/#x", "http://[::1", "//a"),
    ],
)
def test_no_endpoints(text: str) -> None:
    """What is no such URL is refused, and so is one with a password in it."""
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the caller's
        Endpoint.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.9.9.9", False),
        ("http://[::1]", False),
        ("http://localhost", False),
        ("http://10.0.0.1", True),
        ("http://collector", True),
        ("https://collector", False),
    ],
)
def test_exposed(text: str, expected: bool) -> None:
    """Without TLS others may read what goes to another machine."""
    assert expected is Endpoint.parse(text).exposed


def test_shown() -> None:
    """Settings are told in one line."""
    shown = str(TracingSettings(Endpoint.parse("http://[::1]"), 0.25))

    assert "http://[::1]:4318/v1/traces, ratio 0.25" == shown
