"""containerd's filter language."""

import re

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cvmfs_snapshotter.domain.errors import InvalidArgumentError
from cvmfs_snapshotter.domain.filter_scanner import Scanner, unquote
from cvmfs_snapshotter.domain.filters import Filter, Pins, parse
from cvmfs_snapshotter.domain.ports.patterns import Pattern
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot

TARGET = "sha256:" + "a" * 64
SNAPSHOT = Snapshot(
    identifier=7,
    name="k8s.io/3/sha256:abc",
    parent_identifier=2,
    parent='k8s.io/2/extract "x", y',
    kind=Kind.COMMITTED,
    created_at=1,
    updated_at=1,
    labels={"containerd.io/snapshot.ref": TARGET, "a.b": "c d", "plain": "v", "päth": "é"},
)
ROOT = attrs.evolve(SNAPSHOT, parent_identifier=0, parent="", labels={})


class StandardPatterns:
    """Patterns by the standard library, which agrees with RE2 on the simple ones used here."""

    def compile(self, expression: str) -> Pattern | None:
        """Compile an expression."""
        try:
            compiled = re.compile(expression)
        except re.error:
            return None
        return lambda text: compiled.search(text) is not None


def matches(*texts: str, snapshot: Snapshot = SNAPSHOT) -> bool:
    """Tell whether a snapshot matches filters."""
    return parse(texts, StandardPatterns()).matches(snapshot)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kind==committed",
        "kind!=active",
        "name==k8s.io/3/sha256:abc",
        'name=="k8s.io/3/sha256:abc"',
        r'parent=="k8s.io/2/extract \"x\", y"',
        r'parent=="k8s.io/2/extract \x22\u0078\", \171"',
        f'labels."containerd.io/snapshot.ref"=={TARGET}',
        f'labels."containerd.io/snapshot".ref=={TARGET}',
        "labels.plain",
        "labels.a.b",
        'labels."a.b"=="c d"',
        'labels."päth"==é',
        "labels.absent!=v",
        "name~=abc$",
        "name~=/^k8s/",
        "name~=|3/sha|",
        'name~="^k8s[.]io"',
        r"name~=/k8s.io\/3/",
        "labels.absent~=^$",
        "kind==committed,labels.plain==v,parent~=extract",
        "  kind  ==  committed",
        "kind==committed, labels.plain",
        "parent",
    ],
)
def test_matching(text: str) -> None:
    """Each of these selects the snapshot."""
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "kind==active",
        "kind==Committed",
        "name==other",
        "labels.absent",
        "labels.absent==v",
        'labels.absent!=""',
        "labels",
        "unknown",
        "unknown==x",
        "kind.more==committed",
        "name~=[",
        "name~=^sha",
        "kind==committed,labels.absent",
    ],
)
def test_not_matching(text: str) -> None:
    """None of these selects the snapshot; a pattern that cannot be compiled matches nothing."""
    assert not matches(text)


def test_parent_is_present_even_where_there_is_none() -> None:
    """containerd asks for root snapshots with an empty parent."""
    assert matches('parent==""', snapshot=ROOT)
    assert matches("parent", snapshot=ROOT)
    assert not matches('parent==""')


def test_several_filters_are_alternatives() -> None:
    """One of several filters must match, and an empty one matches everything."""
    assert matches("kind==active", "labels.plain")
    assert not matches("kind==active", "labels.absent")
    assert matches("kind==active", "")
    assert matches()


@pytest.mark.parametrize(
    "text",
    [
        " ",
        ",",
        "kind==committed,",
        "kind==committed ",
        "kind==committed ,name",
        "kind ",
        "kind=committed",
        "kind===committed",
        "kind=~committed",
        "kind==",
        "kind==,name",
        "==x",
        "kind.",
        ".kind",
        "labels..a",
        'labels."a',
        'name=="a\nb"',
        "name==/slashes/",
        "name==|bars|",
        "/kind/==active",
        'name=="a" "b"',
        'name=="a"b',
        r'name=="\q"',
        r'name=="\x4"',
        r'name=="\400"',
        r'name=="\ud800"',
        r'name=="\U00110000"',
        r'name=="\xff"',
        "name==\x07",
        "näme==x",
        "kind(==x",
    ],
)
def test_a_malformed_filter_is_an_error_that_shows_where(text: str) -> None:
    """What containerd cannot read is refused with the place in the filter."""
    with pytest.raises(InvalidArgumentError, match=r"malformed at .* >>> "):
        parse([text], StandardPatterns())


def _selectors(count: int) -> str:
    return ",".join(["a"] * count)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["a" * 65_536], "65537 bytes together; at most 65536"),
        (["a" * 40_000, "b" * 30_000], "70002 bytes"),
        (["a==" + "ü" * 33_000], "66004 bytes"),
        ([""] * 65_537, "65537 bytes"),
        ([_selectors(1001)], "more than 1000 selectors"),
        ([_selectors(600), _selectors(401)], "more than 1000 selectors"),
        (["a~=b"] * 21, "more than 20 patterns"),
        (["a~=" + "b" * 1001], "longer than 1000 bytes"),
        (["a~=" + "ü" * 501], "longer than 1000 bytes"),
    ],
    ids=range(9),
)
def test_what_filters_may_ask_for_is_bounded(texts: list[str], words: str) -> None:
    """A List takes neither memory nor time without end, whatever its filters are."""
    with pytest.raises(InvalidArgumentError, match=words):
        parse(texts, StandardPatterns())


@pytest.mark.parametrize(
    "texts",
    [
        ["a" * 65_535],
        [""] * 65_536,
        [_selectors(500)] * 2,
        ["a~=" + "b" * 1000] * 20,
    ],
    ids=range(4),
)
def test_the_bounds_of_filters_are_inclusive(texts: list[str]) -> None:
    """What lies just inside the bounds is read."""
    assert parse(texts, StandardPatterns()).alternatives or "" in texts


def test_the_filter_that_containerd_sends_pins_parent_and_target() -> None:
    """The List after each remote layer can be answered from an index."""
    text = f'labels."containerd.io/snapshot.ref"=={TARGET},parent=="k8s.io/2/x y"'

    assert Pins(parent="k8s.io/2/x y", target=TARGET) == parse([text], StandardPatterns()).pins


@pytest.mark.parametrize(
    "texts",
    [[], [""], ["name!=a"], ["name~=a"], ["name"], ["name==a", "name==b"], ["kind==active"]],
)
def test_nothing_is_pinned_that_need_not_hold(texts: list[str]) -> None:
    """Alternatives and other operators pin nothing."""
    assert Pins() == parse(texts, StandardPatterns()).pins


def test_of_two_contradicting_values_the_full_filter_decides() -> None:
    """A pin only narrows the search; the filter is applied to what comes back."""
    both = parse(["name==a,name==b"], StandardPatterns())

    assert "a" == both.pins.name
    assert not both.matches(attrs.evolve(SNAPSHOT, name="a"))


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n")))
def test_quoted_text_comes_back(text: str) -> None:
    """What is quoted with backslashes before quotes and backslashes is read as it was."""
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert text == unquote(quoted)


@given(st.lists(st.text(max_size=40), max_size=3))
def test_no_filter_breaks_the_parser(texts: list[str]) -> None:
    """Any text is either read or refused with the one error for it."""
    try:
        chosen = parse(texts, StandardPatterns())
    except InvalidArgumentError:
        return
    assert chosen.matches(SNAPSHOT) in {True, False}


_FIELDS = st.sampled_from(
    ["name", 'labels."a.b"', 'labels."c\\"d"', "labels.x", '"name"', "é", ""]
)
_OPERATORS = st.sampled_from(["==", "==", "==", "===", "=", "!=", "~=", "", " == "])
_VALUES = st.sampled_from(
    ["sha256:a-b", '"a.b"', '"c\\"d"', '"', "x.9!", "é", "/x/", "|", " x", ""]
)
_TAILS = st.sampled_from(["", ",", "=", ".x", " ", "\n", "x", '"', ",name"])


@example(['name=="a.b"='])
@example(["name==x x"])
@given(st.lists(st.tuples(_FIELDS, _OPERATORS, _VALUES, _TAILS).map("".join), max_size=2))
def test_a_plain_selector_is_read_as_word_after_word_would(selectors: list[str]) -> None:
    """What is gone over at once means the same, and is refused alike, as when it is scanned."""

    def read() -> Filter | str:
        try:
            return parse([",".join(selectors)], StandardPatterns())
        except InvalidArgumentError as error:
            return str(error)

    at_once = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scanner, "equality", lambda _: None)
        word_by_word = read()

    # Two compiled patterns are never equal.
    assert _without_patterns(word_by_word) == _without_patterns(at_once)


def _without_patterns(read: Filter | str) -> object:
    if isinstance(read, str):
        return read
    return [[attrs.evolve(s, pattern=None) for s in selectors] for selectors in read.alternatives]
