"""containerd's filter language (its ``pkg/filters``): read, match, and tell what can be looked up.

A filter is a comma-separated list of selectors, all of which must match; of several filters one
must. A selector is a field path, alone or with an operator and a value::

    kind==committed,labels."containerd.io/snapshot.ref"==sha256:0123,parent~=/^k8s/

Fields of a snapshot are ``kind``, ``name``, ``parent`` and ``labels.<key>``.
"""

from collections.abc import Sequence
from enum import Enum

import attrs

from . import labels as label_rules
from .errors import InvalidArgumentError
from .filter_scanner import END, Scanner, Token, unquote
from .ports.patterns import Pattern, Patterns
from .snapshot import Snapshot

MAX_BYTES = 64 * 1024
"""Most that all filters of a List may take; containerd's own have some hundred bytes."""

MAX_SELECTORS = 1000
"""Most selectors in all filters of a List: each is tried on every snapshot."""

MAX_PATTERNS = 20
"""Most patterns in all filters of a List: each takes memory as long as the List runs."""

MAX_PATTERN_BYTES = 1000
"""Longest pattern; the time of a match grows with its length."""


class Operator(Enum):
    """What a selector asks of a field."""

    PRESENT = ""
    EQUAL = "=="
    NOT_EQUAL = "!="
    MATCHES = "~="


@attrs.frozen
class Selector:
    """One condition on one field.

    Attributes:
        path: the parts of the field path.
        operator: what is asked.
        value: what it is compared with; for ``MATCHES``, the text of the pattern.
        pattern: the compiled pattern; None if it could not be compiled, which matches nothing.
    """

    path: tuple[str, ...]
    operator: Operator
    value: str = ""
    pattern: Pattern | None = None

    def matches(self, snapshot: Snapshot) -> bool:
        """Tell whether the snapshot meets the condition.

        An absent field compares as the empty text, except that ``==`` wants it present.
        """
        found = _field(snapshot, self.path)
        text = found or ""
        if self.operator is Operator.PRESENT:
            return found is not None
        if self.operator is Operator.EQUAL:
            return found is not None and text == self.value
        if self.operator is Operator.NOT_EQUAL:
            return text != self.value
        return self.pattern is not None and self.pattern(text)


def _field(snapshot: Snapshot, path: tuple[str, ...]) -> str | None:
    match path:
        case ("kind",):
            return snapshot.kind.value
        case ("name",):
            return snapshot.name
        case ("parent",):
            return snapshot.parent
        case ("labels", *key) if key:
            return snapshot.labels.get(".".join(key))
    return None


@attrs.frozen
class Pins:
    """What a filter demands with ``==`` of fields that a store can look up.

    Attributes:
        name: the name demanded, or None.
        parent: the parent's name demanded (empty for none), or None.
        target: the value demanded of the label ``containerd.io/snapshot.ref``, or None.
    """

    name: str | None = None
    parent: str | None = None
    target: str | None = None


_PINNED: dict[tuple[str, str], str] = {
    ("name", ""): "name",
    ("parent", ""): "parent",
    ("labels", label_rules.TARGET): "target",
}


@attrs.frozen
class Filter:
    """Alternatives, each a list of selectors; none at all matches everything."""

    alternatives: tuple[tuple[Selector, ...], ...]

    def matches(self, snapshot: Snapshot) -> bool:
        """Tell whether the snapshot meets all selectors of one alternative."""
        if not self.alternatives:
            return True
        return any(
            all(selector.matches(snapshot) for selector in selectors)
            for selectors in self.alternatives
        )

    @property
    def pins(self) -> Pins:
        """What every match must have; nothing is pinned where there are several alternatives."""
        pinned: dict[str, str] = {}
        if len(self.alternatives) == 1:
            for selector in self.alternatives[0]:
                if selector.operator is Operator.EQUAL:
                    attribute = _PINNED.get((selector.path[0], ".".join(selector.path[1:])))
                    if attribute:
                        pinned.setdefault(attribute, selector.value)
        return Pins(**pinned)


def parse(texts: Sequence[str], patterns: Patterns) -> Filter:
    """Read the filters of a List.

    Args:
        texts: the filters; none, or an empty one among them, matches everything.
        patterns: compiles the patterns of ``~=``.

    Returns:
        The filter.

    Raises:
        InvalidArgumentError: a filter is malformed, and the message shows where; or the filters
            exceed one of the limits above.
    """
    _require_short(texts)
    budget = _Budget(patterns)
    alternatives = tuple(_parse_one(text, budget) if text else () for text in texts)
    return Filter(() if () in alternatives else alternatives)


def _require_short(texts: Sequence[str]) -> None:
    # One for each filter, so that empty ones count too.
    length = len(texts) + sum(len(text) for text in texts)
    if length <= MAX_BYTES:
        length = len(texts) + sum(len(text.encode()) for text in texts)
    if length > MAX_BYTES:
        raise InvalidArgumentError(
            f"the filters have {length} bytes together; at most {MAX_BYTES} are allowed"
        )


@attrs.define
class _Budget:
    """What the filters of one List may still ask for."""

    patterns: Patterns
    selectors_left: int = MAX_SELECTORS
    patterns_left: int = MAX_PATTERNS

    def take_selector(self) -> None:
        self.selectors_left -= 1
        if self.selectors_left < 0:
            raise InvalidArgumentError(
                f"the filters have more than {MAX_SELECTORS} selectors together"
            )

    def compile(self, expression: str) -> Pattern | None:
        self.patterns_left -= 1
        if self.patterns_left < 0:
            raise InvalidArgumentError(
                f"the filters have more than {MAX_PATTERNS} patterns together"
            )
        if len(expression) > MAX_PATTERN_BYTES or len(expression.encode()) > MAX_PATTERN_BYTES:
            raise InvalidArgumentError(
                f"a pattern of a filter is longer than {MAX_PATTERN_BYTES} bytes"
            )
        return self.patterns.compile(expression)


def _parse_one(text: str, budget: _Budget) -> tuple[Selector, ...]:
    scanner = Scanner(text)
    selectors = [_selector(scanner, budget)]
    while (character := scanner.peek()) != END:
        if character != ",":
            raise scanner.error(f"expected a comma or the end, not {character!r}")
        scanner.scan()
        selectors.append(_selector(scanner, budget))
    return tuple(selectors)


def _selector(scanner: Scanner, budget: _Budget) -> Selector:
    budget.take_selector()
    plain = scanner.equality()
    if plain is not None:
        return Selector(plain[0], Operator.EQUAL, plain[1])
    path = [_field_name(scanner)]
    while scanner.peek() == ".":
        scanner.scan()
        path.append(_field_name(scanner))
    if scanner.peek() in {",", END}:
        return Selector(tuple(path), Operator.PRESENT)
    operator = _operator(scanner)
    value = _value(scanner, operator)
    pattern = budget.compile(value) if operator is Operator.MATCHES else None
    return Selector(tuple(path), operator, value, pattern)


def _field_name(scanner: Scanner) -> str:
    token, text = scanner.scan()
    if token is Token.FIELD:
        return text
    if token is Token.QUOTED:
        return _unquoted(scanner, text, '"')
    raise scanner.error("expected the name of a field, bare or in double quotes")


def _operator(scanner: Scanner) -> Operator:
    token, text = scanner.scan()
    if token is Token.OPERATOR and text in {"==", "!=", "~="}:
        return Operator(text)
    raise scanner.error("expected an operator: ==, != or ~=")


def _value(scanner: Scanner, operator: Operator) -> str:
    token, text = scanner.scan()
    if token in {Token.VALUE, Token.FIELD}:
        return text
    if token is Token.QUOTED:
        return _unquoted(scanner, text, '"/|' if operator is Operator.MATCHES else '"')
    raise scanner.error("expected a value, bare or in quotes")


def _unquoted(scanner: Scanner, text: str, allowed: str) -> str:
    if text[0] not in allowed:
        raise scanner.error(f"the quotes {text[0]} are for patterns after ~= only")
    plain = unquote(text)
    if plain is None:
        raise scanner.error("an escape sequence in the quotes cannot be read")
    return plain
