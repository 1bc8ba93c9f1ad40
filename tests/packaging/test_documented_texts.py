"""The texts by which a reader finds what to do are those that he sees."""

import ast
import re
from functools import cache

import pytest

from cvmfs_snapshotter.domain.layer import Reason
from tests.harness import parts
from tests.harness.parts import ROOT

ANYTHING = "\0"
"""Stands in a text of the code for what is put in when it is printed."""

OURS = {
    "troubleshooting.md": ("From the daemon, at its start", "From the daemon, while it runs"),
    "database.md": ("Full disks", "What ends a start", "What is answered while running"),
}
"""Headings of the tables of our own texts."""

# What others than the daemon say: containerd's texts are looked for in its program, in the words
# of Go's fmt; those of the kernel, of Go and of the kubelet are in none of ours.
CONTAINERDS = {
    "content digest ...: not found": "content digest %v: %w",
    "missing parent ... bucket": "missing parent %q bucket: %w",
    "target snapshot ...: already exists": "target snapshot %q: %w",
    "snapshotter ... was not found": "snapshotter %s was not found: %w",
    "no unpack platforms defined": "no unpack platforms defined: %w",
}
OTHERS = {
    "connection refused",
    "no such file or directory",
    "permission denied",
    "invalid capacity 0 on image filesystem",
    "Transport endpoint is not connected",
    "No space left on device",
    "Read-only file system",
    "Too many open files",
    "Operation not permitted",
    "Permission denied",
    "database or disk is full",
    "disk I/O error",
}


def section(page: str, heading: str) -> str:
    """Give what stands under a heading."""
    text = (ROOT / "docs" / page).read_text()
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def quotes(page: str, heading: str) -> list[str]:
    """Give what the first column of a table quotes."""
    cells = re.findall(r"^\| (`.*?) \|", section(page, heading), re.MULTILINE)
    return [quote for cell in cells for quote in re.findall(r"`([^`]+)`", cell)]


@cache
def texts() -> str:
    """Give every text in our code but docstrings, one a line, with a mark for what is put in."""
    found = []
    for folder in ("domain", "adapters", "entrypoints"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            nodes = list(ast.walk(ast.parse(file.read_text())))
            told = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
            found += [_text(node) for node in nodes if id(node) not in told]
    return "\n".join(filter(None, found))


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(value)):
            return value.replace("\n", " ")
        case ast.JoinedStr(values=values):
            return "".join(_text(value) or ANYTHING for value in values)
        case _:
            return ""


def is_ours(quote: str) -> bool:
    """Whether our code has a text that shows as the quoted one.

    What follows a colon may come from elsewhere: from another text of ours, or from the kernel.
    """
    if _is_one_text(quote):
        return True
    what, colon, cause = quote.partition(": ")
    return bool(colon) and _is_one_text(what) and (cause in OTHERS or _is_one_text(cause))


def _is_one_text(quote: str) -> bool:
    pieces = [piece for piece in re.split(r"\.\.\.|[A-Z]{4,}", quote) if piece]
    return bool(re.search(r"[^\n]*".join(re.escape(piece) for piece in pieces), texts()))


QUOTED = sorted(
    {quote for page, heads in OURS.items() for head in heads for quote in quotes(page, head)}
)
ABOVE = "In kubelet, crictl, ctr and containerd"


@pytest.mark.parametrize("quote", QUOTED)
def test_our_texts_are_in_the_code(quote: str) -> None:
    """With `...` and capitals for what differs."""
    assert is_ours(quote) or quote in OTHERS


@pytest.mark.parametrize("quote", quotes("troubleshooting.md", ABOVE))
def test_texts_that_reach_clients(quote: str) -> None:
    """Ours, or containerd's, or known to be of neither."""
    assert quote in CONTAINERDS or quote in OTHERS or is_ours(quote)


@pytest.mark.parametrize("text", CONTAINERDS.values(), ids=list(CONTAINERDS))
def test_the_texts_of_containerd_are_in_containerd(text: str) -> None:
    """One of the releases that the tests run has it."""
    programs = [parts.find(version).containerd / "containerd" for version in ("1.6", "1.7", "2.1")]

    assert any(text.encode() in program.read_bytes() for program in programs)


def test_a_text_that_is_nowhere_is_found_out() -> None:
    """Otherwise the tests above could not fail."""
    assert not is_ours("the daemon has eaten ... snapshots")
    assert is_ours("holds ... snapshots, but their records")
    assert len(QUOTED) > 30


def test_the_reasons_are_all_documented() -> None:
    """The table of the log has each reason that a decision can have."""
    documented = set(quotes("configuration.md", "Log"))

    assert {reason.value for reason in Reason} <= documented


def test_each_reason_of_a_miss_has_what_to_do() -> None:
    """A row, and one only."""
    rows = quotes("troubleshooting.md", "By the reason of a miss")

    assert sorted(reason.value for reason in Reason if reason is not Reason.HIT) == sorted(rows)
