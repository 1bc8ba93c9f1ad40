"""What every implementation of ``Patterns`` must do, in memory and with RE2."""

import time

import pytest

from cvmfs_snapshotter.adapters.memory import MemoryPatterns
from cvmfs_snapshotter.adapters.patterns import Re2Patterns
from cvmfs_snapshotter.domain.ports.patterns import Patterns


@pytest.fixture(params=[MemoryPatterns, Re2Patterns])
def patterns(request: pytest.FixtureRequest) -> Patterns:
    """Give an implementation."""
    made: Patterns = request.param()
    return made


@pytest.mark.parametrize(
    ("expression", "text", "found"),
    [
        ("b+", "abbbc", True),
        ("^b", "abc", False),
        ("^a.*c$", "abc", True),
        ("", "", True),
        ("k8s.io/[0-9]+", "k8s.io/12/x", True),
        (r"\.io/\d{2,}", "k8s.io/1", False),
        ("(?i)SHA256:", "sha256:0", True),
        ("ü", "für", True),
        ("^f.r$", "für", True),
        ("a|b", "c", False),
    ],
)
def test_search(patterns: Patterns, expression: str, text: str, found: bool) -> None:
    """An expression is looked for anywhere in the text, by characters and not by bytes."""
    pattern = patterns.compile(expression)

    assert pattern is not None
    assert found == pattern(text)


@pytest.mark.parametrize("expression", ["(", "[a", "a**b(", "*", "(?P<n", "a{2,1}"])
def test_malformed(patterns: Patterns, expression: str) -> None:
    """A malformed expression is no error and matches nothing."""
    assert patterns.compile(expression) is None


def test_linear() -> None:
    """An expression that takes a backtracking matcher for ever takes no time."""
    pattern = Re2Patterns().compile("^(a+)+$")
    assert pattern is not None
    started = time.monotonic()

    assert not pattern("a" * 100_000 + "b")
    assert time.monotonic() - started < 1.0


@pytest.mark.parametrize("expression", ["(a", r"(.)\1", "(?=a)"])
def test_go_syntax_only(capfd: pytest.CaptureFixture[str], expression: str) -> None:
    """What Go does not understand is malformed, and nothing is said about it."""
    assert Re2Patterns().compile(expression) is None
    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize("expression", ["(a?){1000}", "((a?){30}){34}", "a" * 2001])
def test_large_programs(expression: str) -> None:
    """A short expression with a large program counts as malformed: matching would be slow."""
    assert Re2Patterns().compile(expression) is None


@pytest.mark.parametrize(
    "expression", [r"^k8s\.io/[0-9]+/sha256:[0-9a-f]{64}$", "(a?){400}", r"\pL+ (foo|bar|baz){9}"]
)
def test_ordinary_programs(expression: str) -> None:
    """What somebody would write is compiled."""
    assert Re2Patterns().compile(expression) is not None


def test_memory() -> None:
    """An expression that would take a lot of memory counts as malformed."""
    assert Re2Patterns().compile(r"((\pL{100}){100}){10}") is None
